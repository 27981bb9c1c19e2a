"""Without an optional package, what needs it says which line installs it."""

import sys
from pathlib import Path

import numpy as np
import pytest

from friedel.core.errors import MissingDependencyError
from friedel.spi.particles.atomic_density import Atoms, atomic_density
from friedel.spi.particles.densities import density_particle
from friedel.spi.particles.molecules import molecule


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    return lambda name: monkeypatch.setitem(sys.modules, name, None)


def test_structures_need_gemmi(without, tmp_path: Path) -> None:
    without("gemmi")
    with pytest.raises(MissingDependencyError, match=r"gemmi is needed .* pip install 'friedel\[spi\]'"):
        molecule(tmp_path / "any.pdb")


def test_form_factors_need_xraydb(without) -> None:
    without("xraydb")
    atom = Atoms(positions=np.zeros((1, 3)), elements=np.array(["C"]), occupancies=np.ones(1), b_factors=np.zeros(1))
    with pytest.raises(MissingDependencyError, match="xraydb is needed"):
        atomic_density(atom, n=16, voxel_size_angstrom=1.0)


def test_maps_need_mrcfile(without, tmp_path: Path) -> None:
    without("mrcfile")
    (tmp_path / "any.mrc").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match="mrcfile is needed"):
        density_particle(tmp_path / "any.mrc")
