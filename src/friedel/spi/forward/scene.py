"""What stands in the focus of one shot: a particle, several, a droplet, debris, or nothing.

Draws bodies; `ewald` gives their amplitudes. Lengths in Å, axes (z, y, x) with z along the beam.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.spi.forward.ewald import Complexes, Floats, FrameGeometry, frame_slices, sphere_slices
from friedel.spi.particles.particle import Particle

# Brightness of a second body, relative to the first, below which it changes the pattern by less than counting noise.
_FAINTEST_COMPANION = 0.05
# Interference of bodies so far apart that its period falls under this is finer than pixels resolve.
_FINEST_INTERFERENCE_PX = 2.5


class Kind(StrEnum):
    """What a frame shows."""

    SINGLE = "single"
    SEVERAL = "several"
    """Two to five particles anywhere in the focus, near enough for their interference to be resolved."""
    TOUCHING = "touching"
    """An aggregate of two to five particles."""
    DROPLET = "droplet"
    """A round body of another size, often with a soft surface and so without fringes."""
    DEBRIS = "debris"
    """A loose cluster of many small lumps: chaotic speckle."""
    EMPTY = "empty"
    """Carrier gas and noise."""
    STREAK = "streak"
    """A line of light through the centre, from a jet or an edge."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Bodies:
    """What scatters in one shot, an entry a body.

    Attributes
    ----------
    positions : (n, 3) float32
        Å, (z, y, x).
    rotations : (n, 3, 3) float32
    diameters : (n,) float32
        Å, of the enclosing sphere.
    intensity : (n,) float32
        Of the beam at the body, 1 in the middle of the focus.
    softness : (n,) float32
        NaN for a particle of the run's species; else the softness of a sphere's surface.
    """

    positions: Floats
    rotations: Floats
    diameters: Floats
    intensity: Floats
    softness: Floats

    def __len__(self) -> int:
        return len(self.diameters)


@dataclass(frozen=True, kw_only=True)
class Species:
    """The particles of a run.

    Attributes
    ----------
    diameter : float
        Mean diameter of the enclosing sphere, Å.
    spread : float
        Relative standard deviation of the diameters.
    faintest : float
        Beam intensity at the edge of the focus, relative to its middle, at which a hit still counts.
    furthest : float
        Greatest distance between bodies across the beam, Å.
    """

    diameter: float
    spread: float
    faintest: float
    furthest: float


def species_for(geometry: FrameGeometry, diameter: float, spread: float, faintest: float, focus: float) -> Species:
    """Return a species whose bodies stand near enough for the detector to resolve their interference.

    ``focus`` is the greatest distance the focus allows, Å.

    Parameters
    ----------
    geometry : FrameGeometry
        What the detector resolves.
    diameter, spread : float
        Mean diameter, Å, and its relative spread.
    faintest : float
        Least brightness of a body relative to the brightest.
    focus : float
        Greatest distance from the beam's middle that the focus allows, Å.
    """
    resolved = geometry.fringe_period_px(1.0) / _FINEST_INTERFERENCE_PX
    furthest = max(min(focus, resolved), 1.3 * diameter)
    return Species(diameter=diameter, spread=spread, faintest=faintest, furthest=furthest)


def draw_bodies(kind: Kind, species: Species, rng: np.random.Generator) -> Bodies:
    """Draw what stands in the focus for a shot of the given kind."""
    return _DRAWS[kind](species, rng)


def _species_bodies(n: int, species: Species, rng: np.random.Generator, spread: float | None = None) -> Bodies:
    sizes = species.diameter * np.exp(rng.normal(0, species.spread if spread is None else spread, n))
    # Uniform over the area of a Gaussian focus means uniform in the logarithm of the intensity.
    intensity = np.exp(rng.uniform(np.log(species.faintest), 0, n))
    rotations = Rotation.random(n, rng).as_matrix() if n else np.zeros((0, 3, 3))  # of none SciPy 1.13 has no matrix
    return Bodies(
        positions=np.zeros((n, 3), dtype=np.float32),
        rotations=rotations.astype(np.float32),
        diameters=sizes.astype(np.float32),
        intensity=intensity.astype(np.float32),
        softness=np.full(n, np.nan, dtype=np.float32),
    )


def _single(species: Species, rng: np.random.Generator) -> Bodies:
    return _species_bodies(1, species, rng)


def _several(species: Species, rng: np.random.Generator) -> Bodies:
    count = 2 + min(rng.geometric(0.6) - 1, 3)
    mixed = rng.random() < 0.3
    bodies = _species_bodies(count, species, rng, 0.3 if mixed else None)
    while _second_share(bodies) < _FAINTEST_COMPANION:
        bodies = _species_bodies(count, species, rng, 0.3 if mixed else None)
    least = 1.05 * float(np.sort(bodies.diameters)[-2:].mean())
    for k in range(1, count):
        distance = np.exp(rng.uniform(np.log(least), np.log(max(species.furthest, 1.1 * least))))
        angle = rng.uniform(0, 2 * np.pi)
        # Along the beam bodies stand anywhere; only across it does their distance show as fringes.
        bodies.positions[k] = (rng.normal(0, distance), distance * np.sin(angle), distance * np.cos(angle))
    return bodies


def _touching(species: Species, rng: np.random.Generator) -> Bodies:
    count = 2 + min(rng.geometric(0.6) - 1, 3)
    bodies = _species_bodies(count, species, rng, 0.3 if rng.random() < 0.3 else None)
    bodies.intensity[:] = bodies.intensity[0]
    while _second_share(bodies) < _FAINTEST_COMPANION:
        bodies.diameters[:] = _species_bodies(count, species, rng).diameters
    for k in range(1, count):
        neighbour = rng.integers(k)
        contact = (bodies.diameters[k] + bodies.diameters[neighbour]) / 2 * rng.uniform(0.82, 1.02)
        bodies.positions[k] = bodies.positions[neighbour] + contact * _across_mostly(rng)
    return bodies


def _across_mostly(rng: np.random.Generator) -> Floats:
    """Return a random direction at least 30 degrees from the beam: one body behind another looks like one."""
    along = rng.uniform(-np.cos(np.pi / 6), np.cos(np.pi / 6))
    angle = rng.uniform(0, 2 * np.pi)
    across = np.sqrt(1 - along**2)
    return np.array([along, across * np.sin(angle), across * np.cos(angle)], dtype=np.float32)


def _second_share(bodies: Bodies) -> float:
    """Return how bright the second brightest body is, relative to the brightest."""
    brightness = np.sort(bodies.intensity * bodies.diameters.astype(np.float64) ** 6)
    return float(brightness[-2] / brightness[-1])


def _droplet(species: Species, rng: np.random.Generator) -> Bodies:
    one = _species_bodies(1, species, rng)
    one.diameters[:] = species.diameter * np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
    one.softness[:] = rng.uniform(0.0, 0.5)
    return one


def _debris(species: Species, rng: np.random.Generator) -> Bodies:
    count = int(rng.integers(6, 30))
    bodies = _species_bodies(count, species, rng)
    bodies.intensity[:] = bodies.intensity[0]
    bodies.diameters[:] = species.diameter * rng.uniform(0.15, 0.6, count)
    # From lumps in contact, one rugged heap, to lumps strewn over several particles' width.
    width = np.exp(rng.uniform(np.log(0.25), np.log(1.6)))
    bodies.positions[:] = rng.normal(0, species.diameter * width, (count, 3))
    bodies.softness[:] = 0.0
    return bodies


def _nothing(species: Species, rng: np.random.Generator) -> Bodies:
    return _species_bodies(0, species, rng)


_DRAWS: dict[Kind, Callable[[Species, np.random.Generator], Bodies]] = {
    Kind.SINGLE: _single,
    Kind.SEVERAL: _several,
    Kind.TOUCHING: _touching,
    Kind.DROPLET: _droplet,
    Kind.DEBRIS: _debris,
    Kind.EMPTY: _nothing,
    Kind.STREAK: _nothing,
}


def amplitudes(shots: list[Bodies], particle: Particle, geometry: FrameGeometry, *, softness: float = 0.0) -> Complexes:
    """Return the scattered amplitude of each shot.

    Parameters
    ----------
    shots : list of Bodies
    particle : Particle
        The run's species.
    geometry : FrameGeometry
        The pixels' places.
    softness : float
        Standard deviation of a Gaussian that blurs the particles' surface, as a fraction of their radius.

    Returns
    -------
    (n_shots, y, x) complex64
        Σ_bodies √intensity F(q) exp(−i q·r).
    """
    every = _joined(shots)
    of_species = np.isnan(every.softness)
    fields = np.empty((len(every), *geometry.shape), dtype=np.complex64)
    if of_species.any():
        fields[of_species] = frame_slices(particle, geometry, every.rotations[of_species], every.diameters[of_species])
        if softness:
            fields[of_species] *= _blur(geometry, np.float32(softness / 2) * every.diameters[of_species])
    if not of_species.all():
        round_ = sphere_slices(geometry.q, every.diameters[~of_species], softness=every.softness[~of_species])
        fields[~of_species] = round_
    fields *= np.sqrt(every.intensity)[:, None, None]
    for k in np.flatnonzero(np.any(every.positions != 0, axis=1)):
        path = geometry.q @ every.positions[k]
        # Single-precision sine and cosine are several times quicker than a complex exponential.
        fields[k] *= np.cos(path) - 1j * np.sin(path)
    return _sums(fields, [len(bodies) for bodies in shots])


def _blur(geometry: FrameGeometry, widths: Floats) -> Floats:
    """Return what a blur of the density by Gaussians of these widths (Å) multiplies amplitudes by, ``(n, y, x)``."""
    squared = np.sum(np.square(geometry.q), axis=-1)
    return np.asarray(np.exp(-0.5 * squared * np.square(widths)[:, None, None]), dtype=np.float32)


def _joined(shots: list[Bodies]) -> Bodies:
    names = ("positions", "rotations", "diameters", "intensity", "softness")
    return Bodies(**{name: np.concatenate([getattr(bodies, name) for bodies in shots]) for name in names})


def _sums(fields: Complexes, counts: list[int]) -> NDArray[np.complex64]:
    ends = np.cumsum([0, *counts])
    sums = [fields[a] if b == a + 1 else fields[a:b].sum(axis=0) for a, b in pairwise(ends)]
    return np.stack(sums)
