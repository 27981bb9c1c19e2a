"""A crystal that lies between the voxels is moved to where its facets are, to a sixth of a voxel."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.ambiguities import shifted
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.phasing.subvoxel_shift import placed
from friedel.bcdi.records import Diffraction


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (0.3, -0.2, 0.45)])
def test_the_place_is_found(offset):
    crystal = wavy_crystal((32, 32, 32), seed=4, phase_range_rad=3.0)
    counts = diffract(crystal, n_photons=1e8, seed=0)
    measured = measured_from(Diffraction(intensities=counts, mask=np.ones(counts.shape, bool)))
    found = placed(torch.from_numpy(shifted(crystal, offset)), measured).numpy()
    back = [found, *(np.roll(found, step, axis) for axis in range(3) for step in (-1, 1))]
    error = min(np.linalg.norm(one * _phase(one, crystal) - crystal) for one in back) / np.linalg.norm(crystal)
    moved = np.linalg.norm(shifted(crystal, (0.15, 0.15, 0.15)) - crystal) / np.linalg.norm(crystal)
    assert error < moved


def _phase(obj, reference):
    overlap = np.vdot(obj, reference)
    return overlap / abs(overlap)
