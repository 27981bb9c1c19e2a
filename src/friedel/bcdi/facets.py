"""Facets of a reconstructed crystal: where they face, which lattice planes they are, and how they are strained.

The surface's normals are gathered into directions, each direction gets its plane by a fit to the surface away from
edges and corners, and the planes get Miller indices from the Bragg peak and a turn about it. Crystals are taken as
convex; of a hollow only what faces outwards is found. Indices are for cubic lattices. A twin (docs/conventions.md)
inverts every normal, so that the three signs together mean nothing.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes

from friedel.bcdi.records import CrystalImage
from friedel.core.errors import InputError
from friedel.core.units import ANGSTROM_PER_NM

Floats = NDArray[np.float64]
Hkl = tuple[int, int, int]

_SMOOTHING = 0.7
"""RMS width, voxels, over the amplitude before its gradient is taken. On ten noisy Wulff crystals of 32 voxels all 137
facets of 60 voxels² or more are found within 3° at 0.7 and at 1.0; at 1.0 rounded edges are taken for facets thrice as
often."""
# Width (RMS) of the kernel on the sphere of normals: half of `_APART_DEG`, the most at which two equal facets that far
# apart still give two maxima; narrower, and the scatter of one facet's normals gives several.
_KERNEL_DEG = 6.0
_APART_DEG = 12.0
"""Directions nearer than this are one facet; {100} and {310}, close among common planes, are 18.4° apart."""
_FACING_DEG = 8.0
"""Surface whose normal is further off than this belongs to an edge and is left out of the plane's fit."""
_RESOLVED_VOXELS = 20.0
"""Least area, voxels², of the surface that a plane is fitted to: below, edges and facets can't be told apart."""
_NARROWEST_VOXELS = 1.0
"""Least width of the flat surface that a plane is fitted to: a rounded edge is a strip, flat along one line only. On 30
crystals of five kinds all such strips were 0.6 to 0.9 wide, and the narrowest facets 1.2."""
_CELL = 0.05
"""Normals that agree to this in every component are counted as their mean: 3°, half of the kernel's width, so that the
density changes by second order only, and a facet's thousand triangles are some ten."""
_MET = 0.01  # directions on their way to a maximum that are nearer than this go on as one
_LEAST_AREA = 0.008
"""Of the surface; smaller patches of equal normals occur on rounded edges too."""
_EDGE_VOXELS = 2.0  # distance from other facets' planes below which a voxel lies at a rounded edge
_PLANES: tuple[Hkl, ...] = ((1, 1, 1), (1, 0, 0), (1, 1, 0), (3, 1, 1), (2, 1, 0), (2, 1, 1), (3, 3, 1))
"""Families looked for, by how common they are on cubic metals; a rarer one must fit better to be named."""
# Angle by which a family one rank rarer must fit better to be named: of the order of the normals' error (3° at most).
# Larger names rare facets as common ones, smaller the other way round.
_RARER_DEG = 0.7


@dataclass(frozen=True, eq=False, kw_only=True)
class Facet:
    """One facet.

    Attributes
    ----------
    normal : (3,) float64
        Outward, ``(x, y, z)`` of the crystal's frame.
    distance_nm : float
        Of its plane from the array's origin; in voxels without geometry, as the other lengths.
    area_nm2 : float
        Of the facet within the polyhedron that all facets span.
    share : float
        Of the surface.
    flatness_nm : float
        RMS distance of the surface from the plane.
    hkl : (int, int, int) or None
        Miller indices; None where no low-index plane lies within 8°, or no peak is known.
    off_deg : float
        Angle between the normal and that plane's; NaN without indices.
    n_voxels : int
        Voxels under the facet, away from edges and corners.
    strain, strain_error : float
        Mean over them and its standard error; NaN where the strain isn't known.
    displacement_angstrom, displacement_error_angstrom : float
        Likewise.
    """

    normal: Floats
    distance_nm: float
    area_nm2: float
    share: float
    flatness_nm: float
    n_voxels: int
    hkl: Hkl | None = None
    off_deg: float = float("nan")
    strain: float = float("nan")
    strain_error: float = float("nan")
    displacement_angstrom: float = float("nan")
    displacement_error_angstrom: float = float("nan")


@dataclass(frozen=True, eq=False)
class _Surface:
    """Triangle centres and normals ``(n, 3)`` as ``(x, y, z)`` in voxels, and areas ``(n,)``."""

    centres: Floats
    normals: Floats
    areas: Floats


def find_facets(
    crystal: CrystalImage,
    *,
    peak: Hkl | None = (1, 1, 1),
    reference: tuple[Hkl, tuple[float, float, float]] | None = None,
) -> tuple[Facet, ...]:
    """Find the facets of a crystal.

    Parameters
    ----------
    crystal : CrystalImage
        On its regular grid.
    peak : (int, int, int) or None
        Miller indices of the Bragg peak measured; None finds facets without indices.
    reference : (indices, direction), optional
        A facet whose indices are known, and roughly where it faces, ``(x, y, z)``: it fixes the turn about the peak.
        Without it the turn is the one that gives the facets' area the lowest indices.

    Returns
    -------
    tuple of Facet
        Largest first.

    Raises
    ------
    InputError
        If the crystal has no surface.

    References
    ----------
    Facets from the density of surface normals: Richard et al., J. Appl. Cryst. 51, 934 (2018),
    doi:10.1107/S1600576718005861.
    """
    surface = _surface(crystal)
    directions = _gathered(surface)
    planes = [plane for direction in directions if (plane := _plane(surface, direction)) is not None]
    planes = _distinct(planes)
    facets = [_facet(crystal, surface, planes, k) for k in range(len(planes))]
    kept = sorted((facet for facet in facets if facet.share >= _LEAST_AREA), key=lambda facet: -facet.share)
    if peak is None or crystal.direction is None:
        return tuple(kept)
    return _indexed(tuple(kept), np.asarray(peak, dtype=float), crystal.direction, reference)


def _surface(crystal: CrystalImage) -> _Surface:
    near = ndimage.binary_dilation(crystal.support, iterations=2)
    amplitude = ndimage.gaussian_filter(np.pad(crystal.amplitude * near, 2).astype(np.float64), _SMOOTHING)
    level = crystal.isosurface_level
    if not amplitude.min() < level < amplitude.max():
        raise InputError("facets: the crystal has no surface at its level; check the reconstruction")
    corners, triangles, slopes, _ = marching_cubes(amplitude, level, gradient_direction="ascent")
    corners = (corners - 2 - np.array(crystal.support.shape) // 2)[:, ::-1]
    a, b, c = (corners[triangles[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    # marching_cubes gives the gradient's direction at the corners: inwards, brighter is inside.
    normals = -slopes[triangles].mean(axis=1)[:, ::-1]
    centres = (a + b + c) / 3
    if np.sum(areas * np.einsum("ij,ij->i", normals, centres - centres.mean(axis=0))) < 0:
        normals = -normals
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    return _Surface(centres, normals / np.maximum(size, 1e-12), areas)


def _gathered(surface: _Surface) -> list[Floats]:
    """Return the directions in which the surface's area gathers: maxima of a kernel density on the sphere."""
    kappa = 1 / np.deg2rad(_KERNEL_DEG) ** 2
    normals, weights = _cells(surface)
    golden = (np.arange(600) + 0.5) * np.pi * (1 + 5**0.5)
    height = 1 - 2 * (np.arange(600) + 0.5) / 600
    radius = np.sqrt(1 - height**2)
    moving = np.stack([radius * np.cos(golden), radius * np.sin(golden), height], axis=1)
    for _ in range(25):
        pull = np.exp(kappa * (np.einsum("ik,jk->ij", moving, normals) - 1)) * weights
        moved = np.einsum("ij,jk->ik", pull, normals) + 1e-9 * moving
        moving = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        moving = moving[np.unique(np.round(moving / _MET), axis=0, return_index=True)[1]]
    density = np.exp(kappa * (np.einsum("ik,jk->ij", moving, normals) - 1)) @ weights
    found: list[Floats] = []
    for k in np.argsort(-density):
        if density[k] < _LEAST_AREA / 2:
            break
        if all(one @ moving[k] < np.cos(np.deg2rad(_APART_DEG)) for one in found):
            found.append(moving[k])
    return found


def _cells(surface: _Surface) -> tuple[Floats, Floats]:
    """Return mean normals, ``(n, 3)``, and shares of the surface, ``(n,)``, of triangles that face alike."""
    cells, place = np.unique(np.round(surface.normals / _CELL), axis=0, return_inverse=True)
    place, n = place.reshape(-1), len(cells)
    weights = np.bincount(place, surface.areas, n)
    sums = [np.bincount(place, surface.areas * surface.normals[:, k], n) for k in range(3)]
    means = np.stack(sums, axis=1)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), weights / weights.sum()


@dataclass(frozen=True, eq=False)
class _Plane:
    normal: Floats
    distance: float
    flatness: float


def _plane(surface: _Surface, direction: Floats) -> _Plane | None:
    """Fit a plane to the surface that faces one way, leaving out what belongs to edges or lies elsewhere."""
    normal = direction
    for _ in range(6):
        facing = surface.normals @ normal > np.cos(np.deg2rad(_FACING_DEG))
        if facing.sum() < 12:
            return None
        along = surface.centres[facing] @ normal
        middle = _weighted_median(along, surface.areas[facing])
        flat = np.abs(along - middle) < 1.0
        points, weights = surface.centres[facing][flat], surface.areas[facing][flat]
        if flat.sum() < 12:
            return None
        centre = np.average(points, axis=0, weights=weights)
        apart = (points - centre) * np.sqrt(weights / weights.sum())[:, None]
        _, spreads, axes = np.linalg.svd(apart, full_matrices=False)
        fitted = axes[2]
        fitted = fitted if fitted @ normal > 0 else -fitted
        if fitted @ direction < np.cos(np.deg2rad(_APART_DEG)):
            return None
        normal = fitted
    # A strip of even width w has a standard deviation of w / √12 across.
    if weights.sum() < _RESOLVED_VOXELS or np.sqrt(12) * spreads[1] < _NARROWEST_VOXELS:
        return None
    residual = (points - centre) @ normal
    spread = float(np.sqrt(np.average(residual**2, weights=weights)))
    return _Plane(normal, float(centre @ normal), spread)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _distinct(planes: list[_Plane]) -> list[_Plane]:
    kept: list[_Plane] = []
    for plane in planes:
        if all(plane.normal @ other.normal < np.cos(np.deg2rad(_APART_DEG)) for other in kept):
            kept.append(plane)
    return kept


def _facet(crystal: CrystalImage, surface: _Surface, planes: list[_Plane], k: int) -> Facet:
    plane = planes[k]
    size = crystal.voxel_size_angstrom or ANGSTROM_PER_NM
    step = size / ANGSTROM_PER_NM
    under = _under(crystal.support, planes, k)
    strain, strain_error = _mean(crystal.strain, under)
    u, u_error = _mean(crystal.displacement_angstrom, under)
    area = _patch_area(surface, planes, k)
    return Facet(
        normal=plane.normal,
        distance_nm=plane.distance * step,
        area_nm2=area * step**2,
        share=area / float(surface.areas.sum()),
        flatness_nm=plane.flatness * step,
        n_voxels=int(under.sum()),
        strain=strain,
        strain_error=strain_error,
        displacement_angstrom=u,
        displacement_error_angstrom=u_error,
    )


def _patch_area(surface: _Surface, planes: list[_Plane], k: int) -> float:
    """Return the area, voxels², of the convex outline of the surface that lies on a plane, edges filled in."""
    normal = planes[k].normal
    on = (np.abs(surface.centres @ normal - planes[k].distance) < 0.8) & (
        surface.normals @ normal > np.cos(np.deg2rad(2 * _APART_DEG))
    )
    points = surface.centres[on]
    if len(points) < 3:
        return 0.0
    first = np.cross(normal, [1.0, 0.0, 0.0] if abs(normal[0]) < 0.9 else [0.0, 1.0, 0.0])
    first /= np.linalg.norm(first)
    flat = np.stack([points @ first, points @ np.cross(normal, first)], axis=1)
    return float(ConvexHull(flat).volume)


def _under(inside: NDArray[np.bool_], planes: list[_Plane], k: int) -> NDArray[np.bool_]:
    """Return the voxels of the outermost two layers under a facet that are away from every other facet."""
    axes = [np.arange(n) - n // 2 for n in inside.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    depth = [p.distance - (x * p.normal[0] + y * p.normal[1] + z * p.normal[2]) for p in planes]
    others = [depth[j] for j in range(len(planes)) if j != k]
    away = np.min(others, axis=0) > _EDGE_VOXELS if others else np.ones_like(inside)
    return np.asarray(inside & (depth[k] < 2.0) & (depth[k] > -1.0) & away)


def _mean(values: NDArray[np.floating] | None, where: NDArray[np.bool_]) -> tuple[float, float]:
    """Return mean and standard error; resolution correlates neighbouring voxels, so 8 (2³) count as one value."""
    if values is None or not where.any():
        return float("nan"), float("nan")
    chosen = values[where & np.isfinite(values)].astype(np.float64)
    if chosen.size < 8:
        return float("nan"), float("nan")
    return float(chosen.mean()), float(chosen.std(ddof=1) / np.sqrt(chosen.size / 8))


def _indexed(
    facets: tuple[Facet, ...], peak: Floats, direction: Floats, reference: tuple[Hkl, tuple[float, float, float]] | None
) -> tuple[Facet, ...]:
    if not facets:
        return facets
    start, _ = Rotation.align_vectors(direction[None], (peak / np.linalg.norm(peak))[None])
    named = [(np.array(hkl), rank) for rank, family in enumerate(_PLANES) for hkl in _members(family)]
    units = np.array([hkl / np.linalg.norm(hkl) for hkl, _ in named])
    penalty = np.deg2rad(_RARER_DEG) * np.array([rank for _, rank in named])
    normals, shares = np.array([facet.normal for facet in facets]), np.array([facet.share for facet in facets])

    def cost(angle: float) -> float:
        turned = (Rotation.from_rotvec(angle * direction) * start).apply(units)
        apart = np.arccos(np.clip(np.einsum("ik,jk->ij", normals, turned), -1, 1)) + penalty
        return float(np.sum(shares * np.minimum(apart.min(axis=1), np.deg2rad(10)) ** 2))

    angle = _about_peak(reference, start, direction) if reference else _least(cost)
    orientation = Rotation.from_rotvec(angle * direction) * start
    return tuple(_named(facet, orientation.apply(units), named, penalty) for facet in facets)


def _least(cost: Callable[[float], float]) -> float:
    angles = np.deg2rad(np.arange(0.0, 360.0, 1.0))
    best = float(angles[np.argmin([cost(angle) for angle in angles])])
    fine = best + np.deg2rad(np.linspace(-1, 1, 41))
    return float(fine[np.argmin([cost(angle) for angle in fine])])


def _about_peak(reference: tuple[Hkl, tuple[float, float, float]], start: Rotation, direction: Floats) -> float:
    """Return the turn about the peak that brings the reference's indices to where it faces."""
    hkl, faces = np.asarray(reference[0], dtype=float), np.asarray(reference[1], dtype=float)
    flat = [v - (v @ direction) * direction for v in (start.apply(hkl / np.linalg.norm(hkl)), faces)]
    if min(np.linalg.norm(v) for v in flat) < 1e-3:
        raise InputError("facets: the reference faces along the peak and can't fix the turn about it; name another one")
    return float(np.arctan2(np.cross(flat[0], flat[1]) @ direction, flat[0] @ flat[1]))


def _members(family: Hkl) -> list[Hkl]:
    found = {
        (signs[0] * order[0], signs[1] * order[1], signs[2] * order[2])
        for order in {tuple(np.roll(family, k)) for k in range(3)} | {tuple(np.roll(family[::-1], k)) for k in range(3)}
        for signs in product((1, -1), repeat=3)
    }
    return sorted((int(a), int(b), int(c)) for a, b, c in found)


def _named(facet: Facet, turned: Floats, named: list[tuple[NDArray[np.int64], int]], penalty: Floats) -> Facet:
    apart = np.arccos(np.clip(turned @ facet.normal, -1, 1))
    best = int(np.argmin(apart + penalty))
    if apart[best] > np.deg2rad(8):
        return facet
    hkl = named[best][0]
    return replace(facet, hkl=(int(hkl[0]), int(hkl[1]), int(hkl[2])), off_deg=float(np.rad2deg(apart[best])))


_COLUMNS = (
    "hkl", "normal_x", "normal_y", "normal_z", "off_deg", "distance_nm", "area_nm2", "share", "flatness_nm", "strain",
    "strain_error", "displacement_A", "error_A", "voxels",
)  # fmt: skip


def facet_table(facets: Sequence[Facet]) -> str:
    """Return the facets as CSV text, one a line, lengths in nm; empty where something isn't known."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for f in facets:
        numbers = (*f.normal, f.off_deg, f.distance_nm, f.area_nm2, f.share, f.flatness_nm, f.strain, f.strain_error)
        numbers = (*numbers, f.displacement_angstrom, f.displacement_error_angstrom)
        hkl = "" if f.hkl is None else " ".join(str(n) for n in f.hkl)
        writer.writerow([hkl, *("" if np.isnan(n) else f"{n:.6g}" for n in numbers), f.n_voxels])
    return text.getvalue()


def read_facet_table(text: str) -> tuple[Facet, ...]:
    """Return the facets that `facet_table` wrote."""
    return tuple(_facet_of(row) for row in csv.DictReader(StringIO(text)))


def _facet_of(row: dict[str, str]) -> Facet:
    number = {name: float(row[name] or "nan") for name in _COLUMNS if name != "hkl"}
    hkl = [int(n) for n in row["hkl"].split()]
    return Facet(
        normal=np.array([number[f"normal_{axis}"] for axis in "xyz"]),
        distance_nm=number["distance_nm"],
        area_nm2=number["area_nm2"],
        share=number["share"],
        flatness_nm=number["flatness_nm"],
        n_voxels=int(number["voxels"]),
        hkl=(hkl[0], hkl[1], hkl[2]) if hkl else None,
        off_deg=number["off_deg"],
        strain=number["strain"],
        strain_error=number["strain_error"],
        displacement_angstrom=number["displacement_A"],
        displacement_error_angstrom=number["error_A"],
    )
