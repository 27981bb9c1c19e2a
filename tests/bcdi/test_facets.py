"""Facets of crystals whose facets are known: where they face, their indices, their area, and their strain."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from friedel.bcdi.facets import facet_table, find_facets
from friedel.bcdi.records import CrystalImage
from friedel.core.errors import InputError
from friedel.core.outlines import SHAPES, wulff
from friedel.core.polyhedra import coverage

N, SIZE = 44, 30


def _seen(outline, turn, *, noise, seed, strain=None):
    """A turned outline at a resolution of 1.4 voxels with noise, as a crystal image of 5 nm voxels."""
    outline = outline.transformed(turn)
    outline = outline.transformed(np.eye(3) * SIZE / outline.extent.mean()).centred()
    axes = np.stack(np.meshgrid(*[np.arange(N) - N // 2.0] * 3, indexing="ij"), -1)[..., ::-1]
    amplitude = ndimage.gaussian_filter(coverage(outline, axes, np.eye(3)[::-1]), 0.6)
    amplitude *= 1 + noise * np.random.default_rng(seed).normal(size=amplitude.shape)
    inside = amplitude > 0.5
    crystal = CrystalImage(
        object=amplitude.astype(np.complex64),
        support=inside,
        isosurface_level=0.5,
        bulk_amplitude=1.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        direction=turn @ np.ones(3) / 3**0.5,
        strain=None if strain is None else np.where(inside, strain(axes), np.nan).astype(np.float32),
    )
    return outline, crystal


def _area(corners, normal):
    edges = corners[1:] - corners[0]
    return sum(np.cross(a, b) @ normal for a, b in pairwise(edges)) / 2


def test_nineteen_of_twenty_facets_of_wulff_crystals_are_found_within_three_degrees():
    """Held-back seeds; every facet of 60 voxels² or more, about 8 × 8, which is 1.5 % of the surface here."""
    near = far = named = 0
    for seed in range(100, 104):
        turn = Rotation.random(random_state=seed).as_matrix()
        outline, crystal = _seen(SHAPES["wulff"](np.random.default_rng(seed)), turn, noise=0.05, seed=seed)
        facets = find_facets(crystal)
        normals = np.array([facet.normal for facet in facets])
        for plane, corners in zip(outline.facets, outline.faces, strict=True):
            if _area(corners, outline.normals[plane]) < 60:
                continue
            angle = np.rad2deg(np.arccos(np.clip((normals @ outline.normals[plane]).max(), -1, 1)))
            near, far = near + (angle < 3), far + (angle >= 3)
        named += sum(facet.hkl is not None and facet.off_deg < 3 for facet in facets)
        assert named > 0
    assert near + far > 40
    assert near / (near + far) >= 0.95


@pytest.fixture(scope="module")
def cuboctahedron():
    turn = Rotation.random(random_state=7).as_matrix()
    shape = wulff({(1, 0, 0): 1.0, (1, 1, 1): 1.0})
    strain = lambda r: 1e-3 * (r @ (turn @ np.array([0, 0, 1.0]))) / (SIZE / 2)  # noqa: E731
    return turn, *_seen(shape, turn, noise=0.03, seed=1, strain=strain)


def test_indices_areas_and_strain_are_the_crystal_s(cuboctahedron):
    turn, outline, crystal = cuboctahedron
    facets = find_facets(crystal, reference=((1, 0, 0), tuple(turn @ np.array([1.0, 0, 0]))))
    assert len(facets) == 14
    truth = {plane: _area(c, outline.normals[plane]) for plane, c in zip(outline.facets, outline.faces, strict=True)}
    for facet in facets:
        hkl = np.array(facet.hkl)
        assert np.rad2deg(np.arccos(facet.normal @ (turn @ (hkl / np.linalg.norm(hkl))))) < 3
        plane = max(truth, key=lambda k: outline.normals[k] @ facet.normal)
        assert facet.area_nm2 == pytest.approx(25 * truth[plane], rel=0.25)
        assert facet.strain_error < 2e-4
    top, bottom = (next(f for f in facets if f.hkl == hkl) for hkl in ((0, 0, 1), (0, 0, -1)))
    assert top.strain > 7e-4
    assert bottom.strain < -7e-4
    assert abs(top.strain + bottom.strain) < 3 * (top.strain_error + bottom.strain_error)


def test_without_a_reference_the_lowest_indices_are_taken(cuboctahedron):
    _, _, crystal = cuboctahedron
    families = sorted("".join(str(n) for n in sorted(np.abs(f.hkl))) for f in find_facets(crystal))
    assert families == ["001"] * 6 + ["111"] * 8


def test_without_a_peak_there_are_facets_without_indices(cuboctahedron):
    facets = find_facets(cuboctahedron[2], peak=None)
    assert len(facets) == 14
    assert all(facet.hkl is None for facet in facets)
    assert facet_table(facets).count("\n") == 15


def test_a_reference_along_the_peak_is_refused(cuboctahedron):
    _, _, crystal = cuboctahedron
    with pytest.raises(InputError, match="along the peak"):
        find_facets(crystal, reference=((1, 1, 1), tuple(crystal.direction)))
