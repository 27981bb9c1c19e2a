"""Crystals before relaxation: seeds, twins, faults and held facets."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from friedel.bcdi.crystals import defects
from friedel.bcdi.crystals.fcc import NEAREST_NEIGHBOUR, lattice_sites
from friedel.bcdi.crystals.options import OUTLINES, CrystalRunOptions
from friedel.bcdi.crystals.unrelaxed import FEWEST_ATOMS, HELD_THICKNESS_ANGSTROM, draw_crystal
from friedel.core.errors import InputError, PlanError
from friedel.core.outlines import cube

SMALL = {"atoms": 800, "voxels": 16, "max_vacancies": 0.0}


def least_distance(positions: np.ndarray) -> float:
    distances, _ = cKDTree(positions).query(positions, k=2)
    return float(distances[:, 1].min())


def test_seed_and_number_decide_everything() -> None:
    options = CrystalRunOptions.read(SMALL)
    first, again, other = (draw_crystal(options, number) for number in (3, 3, 4))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert len(first.sites) != len(other.sites) or not np.array_equal(first.positions, other.positions)


@pytest.mark.parametrize("shape", list(OUTLINES))
def test_every_outline_holds_about_the_atoms_asked_for(shape: str) -> None:
    crystal = draw_crystal(CrystalRunOptions.read({**SMALL, "shapes": [shape], "max_strain": 0}), 1)
    assert 400 < len(crystal.sites) < 1000
    np.testing.assert_array_equal(crystal.parent, True)


def test_a_twin_is_whole_and_its_mirror_plane_is_shared() -> None:
    outline, normal = cube(12.0), np.ones(3) / np.sqrt(3)
    lattice = lattice_sites(20.0, 1.0)
    sites, parent = defects.twinned(lattice, outline, normal=normal, plane=2, spacing=1 / np.sqrt(3))
    assert least_distance(sites) == pytest.approx(NEAREST_NEIGHBOUR)
    assert 0.4 < parent.mean() < 0.9
    assert len(sites) == pytest.approx(np.sum(outline.depth(lattice) >= 0), rel=0.05)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("normal", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_a_stacking_fault_keeps_neighbours_apart(normal: tuple[int, int, int], which: int) -> None:
    direction = np.array(normal) / np.sqrt(3)
    sites = lattice_sites(3.0, 1.0)
    field = defects.stacking_fault(direction, 0.5 / np.sqrt(3), lattice_constant=1.0, which=which)
    assert least_distance(sites + field(sites)) == pytest.approx(NEAREST_NEIGHBOUR)


@pytest.mark.parametrize("edge", [True, False])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_dislocations_burgers_vector_is_a_translation_in_its_glide_plane(edge: bool, which: int) -> None:
    normal = np.array([1.0, -1.0, 1.0]) / np.sqrt(3)
    field = defects.perfect_dislocation(np.zeros(3), normal, lattice_constant=1.0, edge=edge, which=which)
    angle = np.linspace(-0.5 * np.pi, 1.5 * np.pi, 4001)
    across = np.cross([0.3, 0.5, 0.8], normal)
    u = field(np.cos(angle)[:, None] * across * 3 + np.sin(angle)[:, None] * normal * 3)
    jump = u[np.argmax(np.linalg.norm(np.diff(u, axis=0), axis=1)) + 1]
    jump = jump - u[np.argmax(np.linalg.norm(np.diff(u, axis=0), axis=1))]
    assert np.linalg.norm(jump) == pytest.approx(NEAREST_NEIGHBOUR, rel=0.01)
    assert abs(jump @ normal) < 0.01


def test_held_atoms_lie_below_the_held_facets_only() -> None:
    free = draw_crystal(CrystalRunOptions.read({**SMALL, "held_chances": [1, 0, 0, 0]}), 2)
    held = draw_crystal(CrystalRunOptions.read({**SMALL, "held_chances": [0, 1, 0, 0]}), 2)
    assert not free.held.any()
    assert 0.02 < held.held.mean() < 0.6
    assert HELD_THICKNESS_ANGSTROM > 5.5  # the potentials' reach


def test_a_crystal_without_atoms_says_what_to_raise() -> None:
    options = CrystalRunOptions.read({"atoms": 2000, "voxels": 12}).model_copy(update={"voxels": 6})
    with pytest.raises(InputError, match=f"{FEWEST_ATOMS} needed; raise 'atoms'"):
        draw_crystal(options, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"metals": ["Fe"]}, "unknown metal"), ({"shapes": ["ball"]}, "unknown shape"), ({"steps": [9, 2]}, "exceeds")],
)
def test_options_name_what_is_wrong(values: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        CrystalRunOptions.read(values)
