"""Random crystals on a voxel grid, with their truth, and the families of strain they are drawn from.

The crystals here live on array indices, without a laboratory; `friedel.bcdi.crystals.lattice` places one on an
instrument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals import displacement
from friedel.bcdi.crystals.displacement import Displacement
from friedel.core import outlines, polyhedra
from friedel.core.errors import InputError
from friedel.core.outlines import SHAPES
from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]
Rng = np.random.Generator

OVERSAMPLING = (2.0, 3.5)
"""Range from which each axis' oversampling is drawn: box over crystal."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Crystal:
    """A crystal on a voxel grid, and what it was made from.

    Attributes
    ----------
    object : (z, y, x) complex64
        ψ = ρ exp(iφ); ρ is about 1 inside and the filled share of the voxel on the surface.
    support : (z, y, x) bool
        Where the crystal fills any part of the voxel.
    phase : (z, y, x) float32, radians
        φ before wrapping, 0 outside.
    polyhedron : Polyhedron
        The outline in voxels about index ``n // 2``, components in array order ``(z, y, x)``.
    shape_family, strain_family : str
        Keys of `SHAPES` and `STRAINS`.
    oversampling : (float, float, float)
        Box over crystal along ``(z, y, x)``.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    phase: NDArray[np.float32]
    polyhedron: Polyhedron
    shape_family: str
    strain_family: str
    oversampling: tuple[float, float, float]

    @property
    def phase_range_rad(self) -> float:
        """Peak-to-peak φ inside the support, radians."""
        return float(np.ptp(self.phase[self.support]))


def random_crystal(
    shape: tuple[int, int, int],
    *,
    seed: int,
    phase_range_rad: float = 2 * np.pi,
    oversampling: float | tuple[float, float, float] | None = None,
    shape_family: str | None = None,
    strain_family: str | None = None,
    antialiased: bool = True,
    amplitude_variation: float = 0.05,
) -> Crystal:
    """Make a facetted, strained crystal of random outline, orientation, size and strain.

    Parameters
    ----------
    shape : (int, int, int)
        ``(z, y, x)`` of the array.
    seed : int
        The same seed gives the same crystal.
    phase_range_rad : float
        Peak-to-peak phase inside the support, met exactly after the ramp is taken out (2π is "±π"). A dislocation
        keeps its whole turn whatever is asked; the range then sets the smooth field that comes with it.
    oversampling : float, three floats or None
        Box over crystal along every axis or per ``(z, y, x)``; None draws each axis from `OVERSAMPLING`.
    shape_family, strain_family : str or None
        Keys of `SHAPES` and `STRAINS`; None draws one (never a dislocation).
    antialiased : bool
        Give surface voxels the share that is filled, rather than all or nothing.
    amplitude_variation : float
        RMS of a smooth relative variation of ρ inside.

    Raises
    ------
    InputError
        If a family is unknown or the oversampling is below 1.
    """
    rng = np.random.default_rng(seed)
    outline_name = _chosen("shape", shape_family, list(SHAPES), list(SHAPES), rng)
    strain_name = _chosen("strain", strain_family, list(STRAINS), UNDISLOCATED, rng)
    ratios = _ratios(oversampling, rng)
    extent = np.asarray(shape) / ratios
    outline = _fitted(outlines.rotated(SHAPES[outline_name](rng), rng), extent, rng)
    positions = voxel_positions(shape)
    share = polyhedra.coverage(outline, positions, np.eye(3), subdivisions=4 if antialiased else 1)
    support = share > 0
    phase = _phase(strain_name, outline, positions[support], share[support], phase_range_rad, rng)
    density = share[support] * _variation(positions[support] / extent.max(), amplitude_variation, rng)
    return Crystal(
        object=_filled(support, density * np.exp(1j * phase)).astype(np.complex64),
        support=support,
        phase=_filled(support, phase).astype(np.float32),
        polyhedron=outline,
        shape_family=outline_name,
        strain_family=strain_name,
        oversampling=(float(ratios[0]), float(ratios[1]), float(ratios[2])),
    )


def voxel_positions(shape: tuple[int, int, int]) -> Floats:
    """Return the index offsets of all voxels from index ``n // 2``, ``(z, y, x, 3)`` float64, in array order."""
    axes = [np.arange(n, dtype=np.float64) - n // 2 for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def without_ramp(phase: Floats, positions: Floats, weights: Floats) -> Floats:
    """Return the phase less its weighted least-squares plane; all ``(n,)``, positions ``(n, 3)``."""
    design = np.column_stack([np.ones(len(phase)), positions])
    root = np.sqrt(weights)
    plane, *_ = np.linalg.lstsq(design * root[:, None], phase * root, rcond=None)
    return np.asarray(phase - design @ plane)


def _chosen(what: str, name: str | None, known: list[str], drawn: list[str], rng: Rng) -> str:
    pick = drawn[int(rng.integers(len(drawn)))]  # drawn even when named, so that naming it changes nothing else
    if name is not None and name not in known:
        raise InputError(f"unknown {what} family {name!r}; choose one of: {', '.join(known)}")
    return pick if name is None else name


def _ratios(oversampling: float | tuple[float, float, float] | None, rng: Rng) -> Floats:
    drawn = rng.uniform(*OVERSAMPLING, size=3)
    ratios = drawn if oversampling is None else np.broadcast_to(np.asarray(oversampling, dtype=float), 3)
    if np.any(ratios < 1):
        raise InputError(f"oversampling must be at least 1 (the crystal must fit its box), got {oversampling!r}")
    return ratios


def _fitted(outline: Polyhedron, extent: Floats, rng: Rng) -> Polyhedron:
    """Return the outline stretched to the extent in voxels and moved by up to half a voxel."""
    stretched = outline.centred().transformed(np.diag(extent / outline.extent))
    return stretched.shifted(rng.uniform(-0.5, 0.5, 3))


def _variation(positions: Floats, rms: float, rng: Rng) -> Floats:
    field = displacement.smooth(rng, radius=0.5, amplitude=1.0)(positions)[..., 0]
    spread = float(field.std())
    return np.asarray(np.clip(1 + rms * (field - field.mean()) / (spread or 1.0), 0.2, 1.8))


def _filled(support: NDArray[np.bool_], values: NDArray[np.generic]) -> NDArray[np.generic]:
    volume = np.zeros(support.shape, dtype=values.dtype)
    volume[support] = values
    return volume


def _phase(name: str, outline: Polyhedron, positions: Floats, weights: Floats, peak_to_peak: float, rng: Rng) -> Floats:
    """Return −h·u of the named field, its ramp removed, scaled to the range asked for."""
    field, turns = STRAINS[name](outline, rng)
    h = rng.normal(size=3)
    phase = without_ramp(field(positions) @ (h / np.linalg.norm(h)), positions, weights)
    span = float(np.ptp(phase))
    scaled = phase * (peak_to_peak / span) if span > 0 else phase
    return scaled if turns is None else scaled - turns(positions)


TurningPhase: TypeAlias = Callable[[Floats], Floats]
Recipe: TypeAlias = Callable[[Polyhedron, np.random.Generator], tuple[Displacement, TurningPhase | None]]


def _radius(outline: Polyhedron) -> float:
    return float(outline.extent.mean() / 2)


def _no_strain(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    return displacement.none, None


def _smooth(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    return displacement.smooth(rng, radius=_radius(outline), amplitude=1.0), None


def _surface(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    weights, depth = rng.normal(0.5, 1.0, outline.distances.size), rng.uniform(0.2, 0.7) * _radius(outline)
    return displacement.surface_relaxation(outline, amplitude=1.0, depth=depth, weights=weights), None


def _substrate(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    plane = int(rng.choice(outline.facets))
    decay = rng.uniform(0.3, 1.0) * _radius(outline)
    pull = displacement.substrate_pull(outline.normals[plane], outline.distances[plane], strain=1.0, decay=decay)
    return displacement.combined(pull, displacement.smooth(rng, radius=_radius(outline), amplitude=0.1 * decay)), None


def _inclusion(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    radius = _radius(outline)
    centre = rng.uniform(-0.3, 0.3, 3) * outline.extent / 2
    core = displacement.inclusion(centre, radius=rng.uniform(0.25, 0.5) * radius, misfit=1.0)
    return displacement.combined(core, displacement.smooth(rng, radius=radius, amplitude=0.03 * radius)), None


def _dislocated(outline: Polyhedron, rng: np.random.Generator) -> tuple[Displacement, TurningPhase | None]:
    line = rng.normal(size=3)
    line /= np.linalg.norm(line)
    # With h·b = 2π the phase turns once round the line: the unit screw, projected on itself, times 2π.
    screw = displacement.screw_dislocation(rng.uniform(-0.2, 0.2, 3) * outline.extent, line, burgers=1.0)
    return displacement.smooth(rng, radius=_radius(outline), amplitude=1.0), lambda r: 2 * np.pi * (screw(r) @ line)


STRAINS: Mapping[str, Recipe] = {
    "smooth": _smooth,
    "surface": _surface,
    "substrate": _substrate,
    "inclusion": _inclusion,
    "none": _no_strain,
    "dislocation": _dislocated,
}
"""Families of strain by name; each gives the scaled field and, for a dislocation, a phase that is never scaled."""

UNDISLOCATED = ["smooth", "surface", "substrate", "inclusion"]
"""Families drawn when none is named."""
