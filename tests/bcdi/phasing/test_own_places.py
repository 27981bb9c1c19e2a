"""Frames of an uneven scan where they lie: they are what a grid's are at whole places, and say more than even ones."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.phasing.iterations.measured import measured_at_own_places
from friedel.bcdi.phasing.refine import RefineOptions, expected, refine, unfit_of
from friedel.bcdi.records import OwnFrames
from friedel.core.fourier import fourier, fourier_of_frames, layers_in_frames

N = 24


def amplitudes(obj, places):
    """Return the scattered amplitudes at fractional places along the scan, centred: a sum over layers."""
    z = np.arange(N) - N // 2
    layers = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(obj, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    return np.array([np.tensordot(np.exp(-2j * np.pi * (p - N // 2) * z / N), layers, 1) for p in places]) / np.sqrt(N)


@pytest.mark.parametrize("n", [12, 13])
def test_at_whole_places_they_are_the_grids_frames(n: int) -> None:
    obj = torch.randn((n, 8, 9), dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    places = torch.tensor([0.0, 3.0, n - 1.0])
    own = fourier_of_frames(obj, layers_in_frames(places, n), (8, 9)).abs()
    grid = torch.fft.ifftshift(fourier(obj), dim=(1, 2)).abs()[places.long()]
    torch.testing.assert_close(own, grid, rtol=1e-4, atol=1e-5)


def test_what_is_expected_in_them_is_the_sum_over_layers() -> None:
    obj = wavy_crystal((N, N, N), seed=3)
    places = np.sort(np.random.default_rng(0).uniform(0, N - 1, 31))
    exact = np.abs(amplitudes(obj, places)) ** 2
    frames = OwnFrames(intensities=exact.astype(np.float32), mask=np.ones(exact.shape, bool), places=places)
    measured = measured_at_own_places(frames, N)
    found = expected(torch.from_numpy(obj), measured)
    torch.testing.assert_close(found, measured.intensity, rtol=1e-3, atol=1e-4 * float(exact.max()))


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_an_object_nearby_comes_to_the_one_that_made_them(seed: int) -> None:
    rng = np.random.default_rng((seed, 7))
    obj = wavy_crystal((N, N, N), seed=seed)
    support = np.abs(obj) > 0
    obj = (obj * np.sqrt(1e6 / (np.abs(obj) ** 2).sum())).astype(np.complex64)
    places = np.sort(np.r_[rng.uniform(0, N - 1, 30), rng.choice(N, 6)])
    counts = rng.poisson(np.abs(amplitudes(obj, places)) ** 2).astype(np.float32)
    mask = rng.random(counts.shape) > 0.05
    measured = measured_at_own_places(OwnFrames(intensities=np.where(mask, counts, 9e9), mask=mask, places=places), N)
    start = obj * np.exp(0.3j * rng.normal(size=obj.shape)).astype(np.complex64)
    found = refine(torch.from_numpy(start), torch.from_numpy(support), measured, RefineOptions()).obj
    assert unfit_of(found, measured) < 1.1 < unfit_of(torch.from_numpy(start), measured)
    # From the truth photons leave 0.06 to 0.15 rad; from here twelve crystals came to 0.09 to 0.19, of 0.30.
    assert phase_difference_rad(align_to(found.numpy(), obj)[0], obj, support) < 0.25
