"""A second, independent simulator of particle frames, to test classifiers on frames unlike those of their training.

Nothing here is shared with `frames`: amplitudes are exact sums (polyhedra by their form factor, molecules and
capsids bead by bead, spheres analytically) instead of transforms of voxels; the detector has square tiles with gaps and
a round hole, shares charge between pixels and drifts tile by tile; light is scattered by the beamline. Never train on
it. Slow, at some tens of milliseconds a body.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import convolve
from scipy.spatial.transform import Rotation

from friedel.core import outlines
from friedel.core.options import Options
from friedel.core.polyhedra import Polyhedron, form_factor
from friedel.core.units import wavelength_angstrom
from friedel.spi.particles import bodies

Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]
Rng: TypeAlias = np.random.Generator
Amplitude: TypeAlias = Callable[[Floats], Complexes]
_TILE, _GAP = 42, 2  # pixels: period of the square tiles and the gap between them
_MOST_BEADS = 600  # of a molecule; the exact sum takes time for every bead


class OtherDomainOptions(Options):
    """The second domain: how many runs and frames, and of what."""

    runs: Annotated[int, Field(ge=1)] = 8
    """Runs; each has its own particle, beam and detector state."""
    frames: Annotated[int, Field(ge=8)] = 60
    """Frames of each run."""
    side: Annotated[int, Field(ge=64)] = 128
    """Pixels along y and x."""
    single_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of single hits."""
    blank_fraction: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of blanks among the other frames; None: 15 %."""
    seed: Annotated[int, Field(ge=0)] = 20_000
    """Seed of every random choice."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Beads:
    """A body as points that scatter: atoms, residues or capsomers.

    Attributes
    ----------
    name : str
        What it is.
    positions : (n, 3) float64
        Any unit; the body is scaled to the run's particle size.
    weights : (n,) float64
        Electrons of each.
    """

    name: str
    positions: Floats
    weights: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class OtherRun:
    """One run of the second domain.

    Attributes
    ----------
    frames : (n, y, x) float32
        Detector units, dark level subtracted.
    mask : (y, x) bool
        True where the detector measures.
    single : (n,) bool
        Whether one particle alone made the frame.
    kind : (n,) str
        "single", "several", "touching", "debris" or "empty".
    particle : str
        The run's particle.
    """

    frames: NDArray[np.float32]
    mask: NDArray[np.bool_]
    single: NDArray[np.bool_]
    kind: NDArray[np.str_]
    particle: str


def other_run(options: OtherDomainOptions, number: int, *, molecules: Sequence[Beads] = ()) -> OtherRun:
    """Simulate one run.

    Parameters
    ----------
    options : OtherDomainOptions
        Sizes and seed.
    number : int
        Of the run; it and the seed decide everything random. Runs take the particles in turn.
    molecules : sequence of Beads
        Particles beside the built-in ones.
    """
    rng = np.random.default_rng([options.seed, number])
    makers = [*_BODIES, *((beads.name, _maker(beads)) for beads in molecules)]
    name, make = makers[number % len(makers)]
    unit = make(rng)
    beam = _Beam.drawn(options.side, rng)
    camera = _Camera.drawn(options.side, beam, rng)
    names, shares = zip(*_bad_shares(options.blank_fraction).items(), strict=True)
    bad = rng.choice(np.array(names), options.frames, p=np.array(shares))
    kinds = np.where(rng.random(options.frames) < options.single_fraction, "single", bad)
    frames = np.stack([camera.read(_light(kind, unit, beam, rng), rng) for kind in kinds])
    return OtherRun(frames=frames, mask=camera.mask, single=kinds == "single", kind=kinds, particle=name)


def _bad_shares(blank: float | None) -> dict[str, float]:
    """Return what bad frames show, with such a share of blanks."""
    if blank is None:
        return _BAD
    left = (1 - blank) / (1 - _BAD["empty"])
    return {kind: blank if kind == "empty" else share * left for kind, share in _BAD.items()}


@dataclass(frozen=True, eq=False)
class _Beam:
    """Where pixels lie in reciprocal space, for a particle of radius 1; and how bright the run is."""

    q: Floats
    photons: float

    @classmethod
    def drawn(cls, side: int, rng: Rng) -> "_Beam":
        wavelength = wavelength_angstrom(rng.uniform(700, 6000))
        distance_px = side * rng.uniform(2.0, 8.0)
        period_px = rng.uniform(6, 24)
        radius = 0.5 * wavelength * distance_px / period_px
        y, x = np.mgrid[:side, :side] - (side - 1) / 2 + rng.normal(0, 1, 2)[:, None, None]
        away = np.stack([x, y, np.full_like(x, distance_px)], axis=-1)
        outgoing = away / np.linalg.norm(away, axis=-1, keepdims=True)
        q = 2 * np.pi / wavelength * (outgoing - np.array([0.0, 0.0, 1.0])) * radius
        return cls(q, float(np.exp(rng.uniform(np.log(1.5e4), np.log(6e5)))))


def _light(kind: str, unit: Amplitude, beam: _Beam, rng: Rng) -> Floats:
    """Return expected photons of one shot, ``(y, x)``."""
    if kind == "empty":
        return np.zeros(beam.q.shape[:2])
    brightness = np.exp(rng.normal(-0.7, 0.6))
    if kind == "single":
        field = _placed(unit, beam.q, rng, size=rng.normal(1, 0.03))
        return _scaled(np.abs(field) ** 2, brightness * beam.photons)
    count = {"several": int(rng.integers(2, 5)), "touching": int(rng.integers(2, 4)), "debris": 14}[kind]
    apart = {"several": rng.uniform(2.4, 7.0), "touching": 1.7, "debris": 1.6}[kind]
    size = 0.3 if kind == "debris" else 1.0
    # Each body starts from the last: a chain for aggregates, scattered places for separate ones.
    places = np.cumsum(_directions(count, rng) * apart * rng.uniform(0.9, 1.1, (count, 1)) * size, axis=0)
    field = np.zeros(beam.q.shape[:2], dtype=complex)
    for place in places:
        body = _sphere if kind == "debris" else unit
        share = 1.0 if kind != "several" else rng.uniform(0.4, 1.0)
        shape = _placed(body, beam.q, rng, size=size * rng.normal(1, 0.2 if kind == "debris" else 0.03))
        field += share * shape * np.exp(-1j * beam.q @ place)
    return _scaled(np.abs(field) ** 2, brightness * beam.photons)


def _scaled(pattern: Floats, photons: float) -> Floats:
    return pattern * photons / max(float(pattern.sum()), 1e-30)


def _directions(count: int, rng: Rng) -> Floats:
    """Return unit vectors, mostly across the beam: bodies behind each other would look like one."""
    found = rng.normal(size=(count, 3)) * np.array([1.0, 1.0, 0.4])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _placed(body: Amplitude, q: Floats, rng: Rng, *, size: float) -> Complexes:
    turned = q @ Rotation.random(random_state=rng).as_matrix()
    return size**3 * body(turned * size)


def _sphere(q: Floats) -> Complexes:
    """Return the transform of the unit ball: 4π (sin q − q cos q)/q³."""
    length = np.maximum(np.linalg.norm(q, axis=-1), 1e-3)
    return np.asarray(4 * np.pi * (np.sin(length) - length * np.cos(length)) / length**3, dtype=complex)


def _polyhedron(shape: Polyhedron) -> Amplitude:
    scaled = shape.transformed(np.eye(3) / np.linalg.norm(shape.vertices, axis=1).max())
    return lambda q: form_factor(scaled, q)


def _maker(beads: Beads) -> Callable[[Rng], Amplitude]:
    return lambda rng: _beads(beads)


def _beads(beads: Beads) -> Amplitude:
    """Return the exact sum over beads, thinned to a few hundred; each is as large as their mean spacing."""
    step = -(-len(beads.positions) // _MOST_BEADS)
    positions = beads.positions[::step] - beads.positions[::step].mean(axis=0)
    positions = positions / np.linalg.norm(positions, axis=1).max()
    width = 0.8 * len(positions) ** (-1 / 3)
    weights = beads.weights[::step] / beads.weights[::step].sum()

    def amplitude(q: Floats) -> Complexes:
        total = np.zeros(q.shape[:-1], dtype=complex)
        for position, weight in zip(positions, weights, strict=True):
            total += weight * np.exp(-1j * (q @ position))
        return total * np.exp(-0.5 * (width * np.linalg.norm(q, axis=-1)) ** 2)

    return amplitude


def _capsid(rng: Rng) -> Amplitude:
    """Return a hollow shell of 162 beads at the corners and along the edges of an icosahedron's faces."""
    corners = bodies.icosahedron(1.0).vertices
    near = np.linalg.norm(corners[:, None] - corners, axis=2)
    edge = near[near > 1e-9].min() * 1.001
    pairs = [(i, j) for i in range(12) for j in range(i) if near[i, j] < edge]
    along = [corners[i] * t + corners[j] * (1 - t) for i, j in pairs for t in (0.2, 0.35, 0.5, 0.65, 0.8)]
    positions = np.concatenate([corners, np.array(along)])
    positions /= np.linalg.norm(positions, axis=1, keepdims=True) ** rng.uniform(0.0, 1.0)
    return _beads(Beads(name="capsid", positions=positions, weights=np.ones(len(positions))))


def _helix(rng: Rng) -> Amplitude:
    """Return a rod-like virus: beads along a helix."""
    turns, aspect = rng.uniform(5, 9), rng.uniform(2.5, 4.5)
    t = np.linspace(0, 1, 160)
    angle = 2 * np.pi * turns * t
    positions = np.column_stack([np.cos(angle), np.sin(angle), aspect * (2 * t - 1)])
    return _beads(Beads(name="helix", positions=positions, weights=np.ones(len(t))))


_BODIES: tuple[tuple[str, Callable[[Rng], Amplitude]], ...] = (
    ("icosahedron", lambda rng: _polyhedron(bodies.icosahedron(1.0))),
    ("capsid of beads", _capsid),
    ("cuboctahedron", lambda rng: _polyhedron(outlines.cuboctahedron(1.0))),
    ("helix of beads", _helix),
    ("Wulff crystal", lambda rng: _polyhedron(outlines.random_wulff(rng))),
    ("prism", lambda rng: _polyhedron(outlines.random_prism(rng))),
    ("sphere", lambda rng: _sphere),
    ("truncated octahedron", lambda rng: _polyhedron(outlines.truncated_octahedron(1.0))),
)
_BAD = {"several": 0.45, "touching": 0.2, "debris": 0.2, "empty": 0.15}  # shares of the bad frames; a choice


@dataclass(frozen=True, eq=False)
class _Camera:
    """The detector of one run, and the light that isn't the particle's."""

    mask: NDArray[np.bool_]
    background: Floats
    gain: Floats
    noise: Floats
    tiles: NDArray[np.int64]
    sharing: Floats

    @classmethod
    def drawn(cls, side: int, beam: _Beam, rng: Rng) -> "_Camera":
        y, x = np.mgrid[:side, :side]
        radius = np.hypot(y - side / 2, x - side / 2)
        shift = int(rng.integers(_TILE))
        gaps = ((y + shift) % _TILE < _GAP) | ((x + shift) % _TILE < _GAP)
        mask = ~gaps & (radius > rng.uniform(2, 5)) & (rng.random((side, side)) > 2e-3)
        # Parasitic light falls off as a power of the radius, with a faint ring as from an aperture.
        ring = np.exp(-(((radius - rng.uniform(10, 30)) / 4) ** 2))
        background = rng.uniform(0.02, 0.4) * (3 / (radius + 3)) ** 1.5 + rng.uniform(0, 0.03) * ring
        photon = rng.uniform(20, 150)
        return cls(
            mask=mask,
            background=background + rng.uniform(0.0, 0.01),
            gain=photon * rng.normal(1, 0.03, (side, side)),
            noise=photon * rng.uniform(0.08, 0.25) * rng.gamma(20, 1 / 20, (side, side)),
            tiles=(y + shift) // _TILE * (side // _TILE + 2) + (x + shift) // _TILE,
            sharing=_sharing(rng.uniform(0.0, 0.08)),
        )

    def read(self, light: Floats, rng: Rng) -> NDArray[np.float32]:
        photons = rng.poisson(light + self.background * rng.gamma(4, 1 / 4)).astype(float)
        charge = convolve(photons, self.sharing, mode="constant") * self.gain
        drift = rng.normal(0, 0.05 * float(self.gain.mean()), int(self.tiles.max()) + 1)
        values = charge + drift[self.tiles] + self.noise * rng.standard_normal(charge.shape)
        return np.where(self.mask, values, 0.0).astype(np.float32)


def _sharing(share: float) -> Floats:
    kernel = np.zeros((3, 3))
    kernel[[0, 1, 1, 2], [1, 0, 2, 1]] = share / 4
    kernel[1, 1] = 1 - share
    return kernel
