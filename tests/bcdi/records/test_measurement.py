"""Records of a measurement refuse shapes that don't fit, naming the data."""

import numpy as np
import pytest

from friedel.bcdi.records import BraggScan, Diffraction
from friedel.core.errors import InputError


def test_photons_are_counted_on_measured_voxels_only():
    intensities = np.full((2, 3, 4), 2.0, dtype=np.float32)
    mask = np.ones((2, 3, 4), dtype=bool)
    intensities[0, 0, 0], mask[0, 0, 0] = np.nan, False
    assert Diffraction(intensities=intensities, mask=mask).n_photons == 46.0


@pytest.mark.parametrize(("frames", "mask"), [((4, 5), (4, 5)), ((3, 4, 5), (5, 4)), ((2, 3, 4, 5), (4, 5))])
def test_a_scan_of_the_wrong_shape_is_refused(frames, mask):
    with pytest.raises(InputError, match="scan 7"):
        BraggScan(frames=np.zeros(frames), mask=np.ones(mask, dtype=bool), name="scan 7")


@pytest.mark.parametrize(("volume", "mask"), [((4, 5), (4, 5)), ((3, 4, 5), (3, 4, 4))])
def test_a_volume_of_the_wrong_shape_is_refused(volume, mask):
    with pytest.raises(InputError, match="particle"):
        Diffraction(intensities=np.zeros(volume, np.float32), mask=np.ones(mask, dtype=bool), name="particle")
