"""A neighbour's object to begin from: taken where a start that knows nothing of it comes to the same, else left."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.phasing import solve
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.phasing.neighbour import on_grid
from friedel.bcdi.phasing.verdict.assess import MIN_AGREEMENT
from friedel.bcdi.reconstruct import _seen_alike
from friedel.core.observer import Note, Recorder


def _strained(crystal, share):
    return (np.abs(crystal) * np.exp(1j * share * np.angle(crystal))).astype(np.complex64)


def test_a_neighbour_is_begun_from_and_its_strain_isn_t_taken_over(small, small_solution):
    # Less strained, elsewhere in the box, and on another grid: what the scan before may have left.
    neighbour = lower(torch.from_numpy(np.roll(_strained(small.obj, 0.7), (1, -2, 1), (0, 1, 2))), (28, 32, 30)).numpy()
    heard = Recorder()
    solution = solve(small.diffraction, neighbour=neighbour, seed=0, observer=heard)
    (note,) = (event for event in heard.events if isinstance(event, Note) and event.step == "neighbour")
    assert note.figures["agreement"] >= MIN_AGREEMENT
    assert solution.quality.trusted
    assert len(solution.starts) == 2
    assert small.error_rad(solution.object) < 1.5 * small.error_rad(small_solution.object) < 0.05
    assert replace(small, obj=_strained(small.obj, 0.7)).error_rad(solution.object) > 0.1


def test_another_crystal_leaves_no_trace(small, small_solution):
    heard = Recorder()
    other = wavy_crystal(small.obj.shape, seed=8)
    solution = solve(small.diffraction, neighbour=other, seed=0, observer=heard)
    np.testing.assert_array_equal(solution.object, small_solution.object)
    assert any(reason.startswith("neighbour:") and "phased anew" in reason for reason in solution.quality.reasons)
    assert len(solution.starts) == len(small_solution.starts)


def test_an_object_keeps_its_field_of_view_on_another_grid(small):
    crystal, shape = small.obj, small.obj.shape
    there = on_grid(torch.from_numpy(crystal), (40, 24, 32))
    assert there.shape == (40, 24, 32)
    back = on_grid(there, shape).numpy()
    coarse = on_grid(on_grid(torch.from_numpy(crystal), (32, 24, 32)), shape).numpy()
    np.testing.assert_allclose(back, coarse, atol=1e-5)


@pytest.mark.parametrize(("changed", "alike"), [((1.0, 1.005, 1.0), True), ((1.05, 1.0, 1.0), False)])
def test_a_field_of_view_is_compared_along_each_axis(small, changed, alike):
    # Frames of a rocking scan lie closer together than pixels: their step counts by its own size.
    basis = np.diag([1e-4, 1e-3, 1e-3])
    grids = [
        ReciprocalGrid(basis=np.array(scale)[:, None] * basis, q_bragg=np.array([0.0, 0.0, 2.0]), wavelength_angstrom=1)
        for scale in ((1.0, 1.0, 1.0), changed)
    ]
    one, other = (replace(small.diffraction, grid=grid) for grid in grids)
    assert _seen_alike(one, other) == alike
