"""A crystal on its regular grid, with a strain that is known."""

import numpy as np
import pytest

from friedel.bcdi.records import CrystalImage


@pytest.fixture(scope="session")
def strained_crystal() -> CrystalImage:
    z, y, x = np.meshgrid(*[np.arange(n) - n // 2 for n in (20, 22, 26)], indexing="ij")
    support = (np.abs(z) < 7) & (np.abs(y) < 8) & (np.abs(x) < 9)
    strain = np.where(support, 1e-3 * x / 8, np.nan).astype(np.float32)
    displacement = np.where(support, 0.05 * x**2 / 8, np.nan).astype(np.float32)
    return CrystalImage(
        object=(5.0 * support * np.exp(-1j * 0.02 * x**2)).astype(np.complex64),
        support=support,
        isosurface_level=0.5,
        bulk_amplitude=5.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        displacement_angstrom=displacement,
        strain=strain,
        direction=np.array([1.0, 0.0, 0.0]),
    )
