"""Crystals with their truth and patterns, for every phasing test: noise-free of one family, counted of another."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract, expected_intensities
from friedel.bcdi.phasing import Solution, solve
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.records import Diffraction

N_PHOTONS = 1e6


@dataclass(frozen=True)
class Truth:
    obj: Tensor
    support: Tensor
    diffraction: Diffraction

    @property
    def measured(self) -> Measured:
        return measured_from(self.diffraction)


def make_truth(shape: tuple[int, int, int], *, seed: int = 3, phase_range_rad: float = 3.0) -> Truth:
    crystal = random_crystal(shape, seed=seed, phase_range_rad=phase_range_rad, oversampling=2.5)
    scaled = crystal.object * np.sqrt(N_PHOTONS / np.sum(np.abs(crystal.object) ** 2))
    intensities = expected_intensities(scaled, n_photons=N_PHOTONS)
    diffraction = Diffraction(intensities=intensities, mask=np.ones(shape, dtype=bool))
    return Truth(torch.from_numpy(scaled.astype(np.complex64))[None], torch.from_numpy(crystal.support), diffraction)


@pytest.fixture(scope="session", params=[(24, 20, 22), (21, 24, 23)], ids=["even", "odd"])
def truth(request: pytest.FixtureRequest) -> Truth:
    return make_truth(request.param)


@dataclass(frozen=True)
class Counted:
    """A crystal that networks aren't trained with, and its pattern in counts."""

    obj: NDArray[np.complex64]
    diffraction: Diffraction

    def error_rad(self, obj: NDArray[np.complex64]) -> float:
        """Return the phase error of an object inside the crystal, RMS."""
        return phase_difference_rad(align_to(obj, self.obj)[0], self.obj, np.abs(self.obj) > 0.5)


def make_counted(n: int, *, seed: int, n_photons: float) -> Counted:
    obj = wavy_crystal((n, n, n), seed=seed)
    counts = diffract(obj, n_photons=n_photons, seed=0)
    return Counted(obj, Diffraction(intensities=counts, mask=np.ones(counts.shape, dtype=bool)))


@pytest.fixture(scope="session")
def small() -> Counted:
    return make_counted(32, seed=3, n_photons=1e7)


@pytest.fixture(scope="session")
def small_solution(small: Counted) -> Solution:
    return solve(small.diffraction, seed=0)


@pytest.fixture(scope="session")
def medium() -> Counted:
    return make_counted(48, seed=6, n_photons=1e8)
