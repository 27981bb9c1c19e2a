"""Molecules: form factors of one atom, assemblies of a made-up and of real structures, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from friedel.core.errors import InputError

pytest.importorskip("gemmi")
pytest.importorskip("xraydb")

from friedel.spi.particles.atomic_density import Atoms, atomic_density
from friedel.spi.particles.molecules import molecule, read_atoms

ATOM = (
    "ATOM  {number:5d}  {name:<3s} GLY {chain}{number:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 20.00          {el:>2s}\n"
)
TWOFOLD = """\
REMARK 350 BIOMOLECULE: 1
REMARK 350 APPLY THE FOLLOWING TO CHAINS: A
REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000
REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000       10.00000
REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000        0.00000
REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        0.00000
"""


def _pdb(*, remark: str = TWOFOLD) -> str:
    atoms = [("CA", "A", (1.0, 2.0, 3.0), "C"), ("O", "A", (2.0, 2.5, 3.0), "O"), ("CA", "B", (5.0, 5.0, 5.0), "C")]
    lines = [
        ATOM.format(number=k + 1, name=name, chain=chain, x=place[0], y=place[1], z=place[2], el=element)
        for k, (name, chain, place, element) in enumerate(atoms)
    ]
    return remark + "".join(lines) + "END\n"


@pytest.fixture
def two_chains(tmp_path: Path) -> Path:
    path = tmp_path / "two.pdb"
    path.write_text(_pdb())
    return path


def _lone_atom(element: str, *, b: float = 0.0) -> Atoms:
    return Atoms(
        positions=np.zeros((1, 3)), elements=np.array([element]), occupancies=np.ones(1), b_factors=np.array([b])
    )


def test_a_lone_atom_diffracts_as_its_form_factor_says() -> None:
    import xraydb

    n, voxel = 64, 0.25
    density = atomic_density(_lone_atom("Fe", b=8.0), n=n, voxel_size_angstrom=voxel)
    q = np.linspace(0.0, 4.0, 9)
    column = density.sum(axis=(1, 2))
    found = np.array([np.sum(column * np.cos(k * voxel * (np.arange(n) - n // 2))) for k in q])
    s = q / (4 * np.pi)
    np.testing.assert_allclose(found, xraydb.f0("Fe", s) * np.exp(-8.0 * s**2), atol=0.02 * 26)
    assert density.sum() == pytest.approx(26.0, rel=5e-3)


def test_the_dispersion_correction_changes_the_electrons_near_an_edge() -> None:
    at_edge, far = (
        float(atomic_density(_lone_atom("Fe"), n=32, voxel_size_angstrom=4.0, photon_energy_ev=energy).sum())
        for energy in (7112.0, 30000.0)
    )
    assert at_edge < 21
    assert far == pytest.approx(26.0, abs=0.5)


def test_the_assembly_repeats_the_chains_it_names(two_chains: Path) -> None:
    atoms = read_atoms(two_chains)
    assert len(atoms) == 4
    np.testing.assert_allclose(atoms.positions[2], [9.0, -2.0, 3.0])
    assert len(read_atoms(two_chains, assembly="asymmetric unit")) == 3


def test_mmcif_and_gzip_say_the_same(two_chains: Path, tmp_path: Path) -> None:
    import gemmi

    structure = gemmi.read_structure(str(two_chains))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "two.cif"))
    (tmp_path / "two.pdb.gz").write_bytes(gzip.compress(two_chains.read_bytes()))
    expected = read_atoms(two_chains).positions
    for name in ("two.cif", "two.pdb.gz"):
        np.testing.assert_allclose(read_atoms(tmp_path / name).positions, expected, atol=1e-3)


def test_electrons_are_kept_on_the_grid(two_chains: Path) -> None:
    made = molecule(two_chains, n=48)
    assert made.density.sum() == pytest.approx(2 * (6 + 8), rel=5e-3)
    assert made.diameter_voxels == pytest.approx(0.72 * 48)
    assert made.name == "two.pdb"


def test_a_real_capsid_is_a_hollow_ball_of_its_known_size(shared_data: Path) -> None:
    made = molecule(shared_data / "pdb" / "1W8X.pdb", n=32)
    assert made.voxel_size_angstrom is not None
    assert made.diameter_voxels * made.voxel_size_angstrom == pytest.approx(710, abs=30)
    middle = made.density[12:21, 12:21, 12:21]
    assert middle.max() < 0.05 * made.density.max()
    assert made.density.sum() == pytest.approx(2286960 * 6.8, rel=0.05)


def test_what_is_no_molecule_is_refused(two_chains: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        molecule(tmp_path / "nowhere.pdb")
    (tmp_path / "empty.pdb").write_text("REMARK nothing here\nEND\n")
    with pytest.raises(InputError, match="no atoms"):
        molecule(tmp_path / "empty.pdb")
    (tmp_path / "broken.cif").write_text("this is { no cif")
    with pytest.raises(InputError, match="not a PDB or mmCIF file"):
        molecule(tmp_path / "broken.cif")
    with pytest.raises(InputError, match=r"no assembly '7'; the file has \['1', 'asymmetric unit'\]"):
        molecule(two_chains, assembly="7")
    with pytest.raises(InputError, match=r"too large for 32 voxels of 0.2 Å; take n="):
        molecule(two_chains, n=32, voxel_size_angstrom=0.2)
    with pytest.raises(InputError, match="voxel_size_angstrom must be positive"):
        molecule(two_chains, voxel_size_angstrom=-1.0)
    unknown = two_chains.read_text().replace("           O\n", "           X\n")
    (tmp_path / "unknown.pdb").write_text(unknown)
    with pytest.raises(InputError, match="no form factor for element 'X'"):
        molecule(tmp_path / "unknown.pdb")
