"""Frames of single particles, of several and of what else flies through an X-ray laser's focus, with their labels.

A run is made in chunks. A chunk has one particle species and depends on the run's seed and its own number alone, so
any split of the work gives the same bits. Lengths in Å inside, axes (z, y, x) with z along the beam.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.transform import Rotation

from friedel.core.errors import InputError
from friedel.core.machine.threads import single_thread
from friedel.core.options import Options
from friedel.core.units import ANGSTROM_PER_M, ELECTRON_RADIUS_M
from friedel.spi.forward.ewald import Floats, FrameGeometry, sphere_slices
from friedel.spi.forward.readout import Readout, ReadoutOptions
from friedel.spi.forward.scene import Bodies, Kind, Species, amplitudes, draw_bodies, species_for
from friedel.spi.particles.particle import Particle, particle

_CLASSICAL_RADIUS_ANGSTROM = ELECTRON_RADIUS_M * ANGSTROM_PER_M
# Relative shares of what frames without a single particle show. A choice: experiments differ, and plans may say others.
_BAD_KINDS = {
    Kind.SEVERAL: 0.45,
    Kind.TOUCHING: 0.2,
    Kind.DEBRIS: 0.15,
    Kind.DROPLET: 0.1,
    Kind.EMPTY: 0.05,
    Kind.STREAK: 0.05,
}


class ParticleRunOptions(Options):
    """One run of single-particle imaging: beam, detector, particles and what goes wrong."""

    particles: tuple[str, ...] = ("icosahedron",)
    """Shapes, by name (`friedel.spi.particles.particle.PARTICLES`); each chunk of frames takes one."""
    diameter_nm: float = Field(default=70.0, gt=0)
    """Mean diameter of the particles' enclosing sphere."""
    diameter_spread: float = Field(default=0.05, ge=0, le=1)
    """Relative standard deviation of the diameter."""
    surface_softness: float = Field(default=0.0, ge=0, le=0.5)
    """Width (standard deviation) over which the particles' surface fades, relative to their radius."""
    electron_density_per_nm3: float = Field(default=430.0, gt=0)
    """Of the particle's material (protein 430, water 334, gold 4660)."""
    photon_energy_ev: float = Field(default=1600.0, gt=0)
    """Photon energy."""
    distance_m: float = Field(default=0.58, gt=0)
    """From the particles to the detector."""
    pixel_size_m: float = Field(default=300e-6, gt=0)
    """Pixel pitch, after any binning."""
    frame_shape: tuple[int, int] = (256, 256)
    """Pixels (y, x)."""
    centre_offset_px: tuple[float, float] = (0.0, 0.0)
    """Where the direct beam stands, from the frame's middle."""
    fluence_photons_per_um2: float = Field(default=1e12, gt=0)
    """In the middle of the focus."""
    faintest: float = Field(default=0.05, gt=0, le=1)
    """Beam intensity at the edge of the focus relative to its middle."""
    focus_um: float = Field(default=2.0, gt=0)
    """Greatest distance between particles across the beam."""
    single_fraction: float = Field(default=0.5, ge=0, le=1)
    """Share of frames with one particle alone."""
    bad_kinds: dict[Kind, float] = Field(default_factory=lambda: dict(_BAD_KINDS))
    """Relative shares of what the other frames show."""
    readout: ReadoutOptions = ReadoutOptions()
    """What the detector adds."""
    chunk: int = Field(default=64, ge=1, le=4096)
    """Frames made at once, of one shape."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""

    def geometry(self, jitter: NDArray[np.float64] | None = None) -> FrameGeometry:
        """Return the pixels' places in reciprocal space, the centre moved by ``jitter`` (y, x) pixels."""
        middle = np.array(self.frame_shape) / 2 - 0.5 + np.array(self.centre_offset_px)
        y, x = middle if jitter is None else middle + jitter
        return FrameGeometry(
            shape=self.frame_shape,
            photon_energy_ev=self.photon_energy_ev,
            distance_m=self.distance_m,
            pixel_size_m=self.pixel_size_m,
            centre=(float(y), float(x)),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedFrames:
    """Frames with their truth; all but ``mask`` have one entry a frame.

    Attributes
    ----------
    frames : (n, y, x) uint16 or float32
        Photons, or detector units if the readout names a gain.
    mask : (y, x) bool
    single : (n,) bool
        Whether one particle alone made the frame.
    kind : (n,) str
        One of `Kind`.
    particle : str
        Name of the species' shape.
    bodies : (n,) int64
        How many bodies scattered.
    quaternion : (n, 4) float32
        Orientation of the first body, scalar last; NaN without one.
    diameter_nm : (n,) float32
        Of the first body; NaN without one.
    photons : (n,) float32
        Expected photons that the bodies scattered onto measured pixels.
    """

    frames: NDArray[np.generic]
    mask: NDArray[np.bool_]
    single: NDArray[np.bool_]
    kind: NDArray[np.str_]
    particle: str
    bodies: NDArray[np.int64]
    quaternion: Floats
    diameter_nm: Floats
    photons: Floats


@single_thread()
def simulate_frames(
    options: ParticleRunOptions,
    chunk: int,
    *,
    mask: NDArray[np.bool_] | None = None,
    species: Particle | None = None,
) -> SimulatedFrames:
    """Simulate one chunk of a run.

    Parameters
    ----------
    options : ParticleRunOptions
    chunk : int
        Number of the chunk within the run; it and the seed decide everything random.
    mask : (y, x) bool, optional
        True where the detector measures; None measures everywhere.
    species : Particle, optional
        The particles' density (a molecule, a measured map); None makes one of ``options.particles``.

    Raises
    ------
    InputError
        If the mask doesn't fit the frames, or measures nothing.
    """
    measured = _checked_mask(options, mask)
    rng = np.random.default_rng([options.seed, 1 + chunk])
    body = species or particle(options.particles[int(rng.integers(len(options.particles)))], rng=rng)
    kinds = _draw_kinds(options, rng)
    geometry = options.geometry(rng.normal(0, 1, 2) * options.readout.centre_jitter_px)
    shots = [draw_bodies(kind, _species(options, geometry), rng) for kind in kinds]
    light = _photons(options, geometry, measured, shots, body)
    faults = np.random.default_rng([options.seed, 0])
    readout = Readout(options.readout, measured, geometry.centre, faults)
    frames = [_frame(readout, geometry, *shot, rng) for shot in zip(light, kinds, shots, strict=True)]
    return _record(np.stack(frames), measured, kinds, shots, body.name, light)


def _checked_mask(options: ParticleRunOptions, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(options.frame_shape, dtype=bool)
    if mask.shape != options.frame_shape:
        raise InputError(f"mask {mask.shape} doesn't fit frames of {options.frame_shape}")
    if not mask.any():
        raise InputError("the mask leaves no pixel to measure; True must mean measured")
    return mask


def _draw_kinds(options: ParticleRunOptions, rng: np.random.Generator) -> list[Kind]:
    names = list(options.bad_kinds)
    shares = np.array([options.bad_kinds[name] for name in names], dtype=np.float64)
    if options.single_fraction < 1 and not shares.sum() > 0:
        raise InputError("bad_kinds: at least one share must be positive, or single_fraction 1")
    single = rng.random(options.chunk) < options.single_fraction
    bad = rng.choice(len(names), options.chunk, p=shares / shares.sum()) if shares.sum() > 0 else single * 0
    return [Kind.SINGLE if one else names[k] for one, k in zip(single, bad, strict=True)]


def _species(options: ParticleRunOptions, geometry: FrameGeometry) -> Species:
    diameter = options.diameter_nm * 10
    return species_for(geometry, diameter, options.diameter_spread, options.faintest, options.focus_um * 1e4)


def _photons(
    options: ParticleRunOptions,
    geometry: FrameGeometry,
    mask: NDArray[np.bool_],
    shots: list[Bodies],
    body: Particle,
) -> Floats:
    """Return the photons expected from the bodies alone, ``(n, y, x)``: fluence × r_e² |F|² × solid angle."""
    field = amplitudes(shots, body, geometry, softness=options.surface_softness)
    light: Floats = np.square(field.real)
    light += np.square(field.imag)
    light *= _photons_per_volume(options, geometry) * mask
    return light


def _photons_per_volume(options: ParticleRunOptions, geometry: FrameGeometry) -> Floats:
    """Return the photons a pixel gets per |F|² (Å⁶) of a body of density one, ``(y, x)``."""
    per_area = options.fluence_photons_per_um2 * 1e-8  # photons/Å²
    electrons = options.electron_density_per_nm3 * 1e-3  # electrons/Å³
    return per_area * (_CLASSICAL_RADIUS_ANGSTROM * electrons) ** 2 * geometry.efficiency


def expected_sphere(options: ParticleRunOptions) -> Floats:
    """Return the photons expected from a sphere of the species' size in the middle of the focus, ``(y, x)``."""
    geometry = options.geometry()
    diameter = np.array([10 * options.diameter_nm], dtype=np.float32)
    form = sphere_slices(geometry.q, diameter)[0]
    return np.abs(form) ** 2 * _photons_per_volume(options, geometry)


def _frame(
    readout: Readout, geometry: FrameGeometry, light: Floats, kind: Kind, bodies: Bodies, rng: np.random.Generator
) -> NDArray[np.generic]:
    period = geometry.fringe_period_px(float(bodies.diameters.max(initial=1.0)))
    return readout.frame(readout.expected(light, period, kind is Kind.STREAK, rng), rng)


def _record(
    frames: NDArray[np.generic],
    mask: NDArray[np.bool_],
    kinds: list[Kind],
    shots: list[Bodies],
    name: str,
    light: Floats,
) -> SimulatedFrames:
    quaternion = np.full((len(shots), 4), np.nan, dtype=np.float32)
    diameter = np.full(len(shots), np.nan, dtype=np.float32)
    for k, bodies in enumerate(shots):
        if len(bodies):
            quaternion[k] = Rotation.from_matrix(bodies.rotations[0][::-1, ::-1]).as_quat()
            diameter[k] = bodies.diameters[0] / 10
    return SimulatedFrames(
        frames=frames,
        mask=mask,
        single=np.array([kind is Kind.SINGLE for kind in kinds]),
        kind=np.array([kind.value for kind in kinds]),
        particle=name,
        bodies=np.array([len(bodies) for bodies in shots]),
        quaternion=quaternion,
        diameter_nm=diameter,
        photons=light.sum(axis=(1, 2)),
    )
