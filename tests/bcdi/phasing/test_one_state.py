"""A crystal that changes during the scan: frames before and after want the solution changed in opposite ways."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import expected_intensities
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.phasing.verdict.one_state import find_jump, one_state
from friedel.bcdi.records import Diffraction

N = 32
Object = NDArray[np.complex64]


def changed(obj: Object, how: str) -> Object:
    """Return another state of a crystal."""
    z, _, x = np.indices(obj.shape)
    if how == "strain":
        return np.asarray(np.abs(obj) * np.exp(1.25j * np.angle(obj)), dtype=np.complex64)
    turned = {"jump of the peak": 0.3 * x / N, "jump of the angle": 0.3 * z / N, "half moved": 0.15 * (x > N // 2)}[how]
    return np.asarray(obj * np.exp(2j * np.pi * turned), dtype=np.complex64)


def solved(expected: NDArray[np.float32], near: Object, seed: int) -> tuple[Object, Diffraction]:
    """Return what a pattern's photons make of an object near the solution, and the pattern."""
    photons = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    pattern = Diffraction(intensities=photons, mask=np.ones(photons.shape, bool))
    support = torch.from_numpy(np.abs(near) > 0.05 * np.abs(near).max())
    options = RefineOptions(steps=40, early_stop=False)
    with torch.no_grad():
        return refine(torch.from_numpy(near), support, measured_from(pattern), options).obj.numpy(), pattern


@pytest.mark.parametrize("how", ["strain", "jump of the peak", "jump of the angle", "half moved"])
@pytest.mark.parametrize("seed", range(3))
def test_a_jump_is_found_where_it_is(how: str, seed: int) -> None:
    first = wavy_crystal((N, N, N), seed=seed, phase_range_rad=4.0)
    second, cut = changed(first, how), N // 2 - 1 + seed
    before, after = (expected_intensities(one, n_photons=1e7) for one in (first, second))
    mixed = np.concatenate([before[:cut], after[cut:]])
    best, pattern = solved(mixed, (first + second) / 2, seed)
    jump = find_jump(best, pattern)
    assert jump is not None
    assert jump.found
    assert abs(jump.after + 1 - cut) <= 1
    passed, why = one_state(best, pattern)
    assert not passed
    assert why.startswith("one state: the crystal or its angle changed between frames")


@pytest.mark.parametrize("seed", range(4))
def test_a_crystal_that_stays_is_one_state(seed: int) -> None:
    crystal = wavy_crystal((N, N, N), seed=seed, phase_range_rad=4.0)
    steady = expected_intensities(crystal, n_photons=1e7)
    assert one_state(*solved(steady, crystal, seed))[0]
    flicker = np.exp(np.random.default_rng(seed).normal(0, 0.05, (N, 1, 1))).astype(np.float32)
    assert one_state(*solved(steady * flicker, crystal, seed))[0]


@pytest.mark.parametrize("seed", range(4))
def test_angles_that_jitter_are_no_jump(seed: int) -> None:
    crystal = wavy_crystal((N, N, N), seed=seed, phase_range_rad=4.0)
    at = np.arange(N) - N // 2 + np.random.default_rng(seed).normal(0, 0.06, N)
    planes = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(crystal, axes=(1, 2))), axes=(1, 2))
    rocked = np.exp(-2j * np.pi * np.outer(at, np.arange(N) - N // 2) / N) @ planes.reshape(N, -1)
    expected = np.abs(rocked.reshape(N, N, N)) ** 2
    assert one_state(*solved((expected * 1e7 / expected.sum()).astype(np.float32), crystal, seed))[0]


def test_nothing_measured_tells_nothing_and_thin_objects_are_no_obstacle() -> None:
    crystal, everywhere = wavy_crystal((N, N, N), seed=0), np.ones((N, N, N), bool)
    empty = Diffraction(intensities=np.zeros((N, N, N), np.float32), mask=everywhere)
    assert find_jump(crystal, empty) is None
    flat = np.zeros((N, N, N), np.complex64)
    flat[N // 2, 12:20, 13:19] = 1.0
    photons = np.random.default_rng(0).poisson(expected_intensities(flat, n_photons=1e6)).astype(np.float32)
    assert one_state(flat, Diffraction(intensities=photons, mask=everywhere))[0]
    point = np.where(np.abs(crystal) == np.abs(crystal).max(), crystal, 0).astype(np.complex64)
    assert one_state(point, Diffraction(intensities=photons, mask=everywhere))[0]
