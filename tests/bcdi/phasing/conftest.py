"""One small crystal with its truth and its noise-free pattern, for every phasing test."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import expected_intensities
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
