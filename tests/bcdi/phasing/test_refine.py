"""Refinement by automatic differentiation: it finds the truth nearby, fits what it is told to, and stops in time."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.support import interior
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.records import Diffraction


def near(truth, share: float = 0.3) -> torch.Tensor:
    noise = torch.randn(truth.support.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    return truth.obj[0] + truth.support * noise * share * truth.obj.abs().amax()


def noisy(truth, *, held_out: float = 0.0) -> Measured:
    counts = diffract(truth.obj[0].numpy(), n_photons=1e5, seed=1)
    diffraction = Diffraction(intensities=counts, mask=np.ones(counts.shape, dtype=bool))
    return measured_from(diffraction, held_out_fraction=held_out, seed=2)


@pytest.mark.parametrize("loss", ["amplitude", "poisson"])
@pytest.mark.parametrize("parametrisation", ["complex", "polar"])
def test_from_nearby_it_fits_the_photons(truth, loss: str, parametrisation: str) -> None:
    options = RefineOptions(loss=loss, parametrisation=parametrisation, steps=60)
    start, measured = near(truth), truth.measured
    refined = refine(start, truth.support, measured, options)
    before, after = chi_of(start[None], measured).item(), chi_of(refined.obj[None], measured).item()
    assert after < 0.25 * before
    assert not torch.any(refined.obj[~truth.support])
    assert refined.obj.dtype == torch.complex64
    assert list(refined.losses) == sorted(refined.losses, reverse=True)


def test_the_scale_of_the_start_does_not_matter(truth) -> None:
    options = RefineOptions(steps=10)
    first = refine(near(truth), truth.support, truth.measured, options).obj
    second = refine(1000 * near(truth), truth.support, truth.measured, options).obj
    torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-2 * first.abs().amax().item())


def test_unknown_voxels_have_no_say(truth) -> None:
    mask = np.ones(truth.support.shape, dtype=bool)
    mask[5:8] = False
    values = truth.diffraction.intensities.copy()
    refined = []
    for filler in (0.0, 1e7):
        values[~mask] = filler
        measured = measured_from(Diffraction(intensities=values.copy(), mask=mask))
        refined.append(refine(near(truth), truth.support, measured, RefineOptions(steps=10)).obj)
    assert torch.equal(*refined)


def test_held_out_voxels_end_the_fit_before_it_follows_the_noise(truth) -> None:
    measured = noisy(truth, held_out=0.1)
    loose = torch.ones_like(truth.support)
    stopped = refine(near(truth), loose, measured, RefineOptions(steps=200))
    assert stopped.free_deviances
    assert len(stopped.losses) < 40
    kept_on = refine(near(truth), loose, measured, RefineOptions(steps=200, early_stop=False))
    assert not kept_on.free_deviances
    assert len(kept_on.losses) >= len(stopped.losses)


def test_who_waits_hears_of_each_step_and_can_stop(truth) -> None:
    heard: list[tuple[int, int]] = []
    refine(near(truth), truth.support, truth.measured, RefineOptions(steps=12), on_step=lambda *at: heard.append(at))
    assert heard == [(5, 12), (10, 12), (12, 12)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(near(truth), truth.support, truth.measured, on_step=stop)


def test_expecting_one_density_brings_few_photons_nearer_the_crystal() -> None:
    crystal = random_crystal((24, 24, 24), seed=5, phase_range_rad=2.0, oversampling=1.8)
    counts = diffract(crystal.object, n_photons=3e3, seed=1)
    measured = measured_from(Diffraction(intensities=counts, mask=np.ones(counts.shape, dtype=bool)))
    start, support = torch.from_numpy(crystal.object), torch.from_numpy(crystal.support)
    free, expecting = (
        refine(start, support, measured, RefineOptions(density_spread=spread)).obj.numpy() for spread in (None, 0.1)
    )
    assert 1 - align_to(expecting, crystal.object)[1] < 0.85 * (1 - align_to(free, crystal.object)[1])
    inside = interior(support).numpy()
    assert np.abs(expecting[inside]).std() < 0.7 * np.abs(free[inside]).std()


@pytest.mark.parametrize("parametrisation", ["complex", "polar"])
def test_many_photons_outweigh_what_is_expected_of_the_density(truth, parametrisation: str) -> None:
    free, expecting = (
        refine(
            truth.obj[0],
            truth.support,
            truth.measured,
            RefineOptions(density_spread=spread, parametrisation=parametrisation),
        ).obj
        for spread in (None, 0.3)
    )
    torch.testing.assert_close(expecting, free, rtol=0.02, atol=0.02 * free.abs().amax().item())
