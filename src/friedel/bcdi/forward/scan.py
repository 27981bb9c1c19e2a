"""A rocking scan as a beamline records it: a crystal in the laboratory to integer photon counts, frame by frame.

The default instrument is a 34-ID-C-like diffractometer measuring gold 111. Nothing is written: records in and out.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from friedel.bcdi.crystals.lattice import GOLD_LATTICE_CONSTANT_ANGSTROM, LatticeCrystal, gold_crystal
from friedel.bcdi.forward.bragg import add_aliens, bad_pixels, expected_intensities, voxel_transfer
from friedel.bcdi.geometry.instrument import Beam, Circle, Detector, Diffractometer, ReciprocalGrid
from friedel.bcdi.geometry.rocking import reciprocal_grid
from friedel.bcdi.records import BraggScan
from friedel.core.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[int, int, int]

APS_34IDC = Diffractometer(
    sample_circles=(Circle("th", "y+"), Circle("chi", "z-"), Circle("phi", "y+")),
    detector_circles=(Circle("del", "y+"), Circle("gam", "x-")),
)
"""Circles of APS 34-ID-C, outermost first, by the names of their SPEC motors (cohere_core's instrument description)."""


@dataclass(frozen=True, kw_only=True)
class ScanGeometry:
    """Where a simulated scan looks: the instrument, the angles and where the peak falls.

    Attributes
    ----------
    shape : (int, int, int)
        ``(n_rocking, y, x)`` of the frames.
    peak : (int, int, int)
        Index of the Bragg peak in them.
    beam, detector, diffractometer, motors_deg
        As in `BraggScan`.
    """

    shape: Shape
    peak: Shape
    beam: Beam
    detector: Detector
    diffractometer: Diffractometer
    motors_deg: dict[str, float | Floats]

    @property
    def grid(self) -> ReciprocalGrid:
        """Reciprocal-space grid around the peak."""
        return reciprocal_grid(
            beam=self.beam,
            detector=self.detector,
            diffractometer=self.diffractometer,
            motors_deg=self.motors_deg,
            centre=(float(self.peak[0]), float(self.peak[1]), float(self.peak[2])),
        )


@dataclass(frozen=True, kw_only=True)
class Imperfections:
    """What spoils a simulated scan.

    Attributes
    ----------
    n_dead, n_hot : int
        Pixels that count nothing, and pixels that count far too much in every frame.
    n_aliens : int
        Peaks of other crystals.
    alien_share : float
        Photons of each alien, as a share of the crystal's.
    background : float
        Expected stray photons per voxel.
    flat_variation : float
        RMS of the detector's relative efficiency.
    """

    n_dead: int = 12
    n_hot: int = 12
    n_aliens: int = 2
    alien_share: float = 0.003
    background: float = 0.002
    flat_variation: float = 0.02


PERFECT = Imperfections(n_dead=0, n_hot=0, n_aliens=0, background=0.0, flat_variation=0.0)
"""Nothing but photon noise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimulatedScan:
    """A simulated scan and what is true about it.

    Attributes
    ----------
    scan : BraggScan
        Frames ``(n_rocking, y, x)`` int32, photons. Its mask knows nothing of the dead and hot pixels.
    crystal : LatticeCrystal
        The truth, in the laboratory.
    geometry : ScanGeometry
        Instrument and place of the peak.
    expected : (n_rocking, y, x) float32, photons
        Mean counts of the crystal alone.
    dead, hot : (y, x) bool
        Bad pixels.
    """

    scan: BraggScan
    crystal: LatticeCrystal
    geometry: ScanGeometry
    expected: NDArray[np.float32]
    dead: NDArray[np.bool_] = field(repr=False)
    hot: NDArray[np.bool_] = field(repr=False)

    def object(self, grid: ReciprocalGrid, shape: Shape) -> NDArray[np.complex64]:
        """Return the true ψ on the voxels that conjugate ``grid`` with an array of ``shape`` ``(z, y, x)``."""
        return self.crystal.on_grid(basis=grid.object_basis(shape), h=grid.q_bragg, shape=shape)


def gold_111_geometry(
    shape: Shape, *, peak: Shape | None = None, step_deg: float = 0.01, distance_m: float = 0.5, pixel_m: float = 55e-6
) -> ScanGeometry:
    """Return a 34-ID-C-like geometry, 9 keV, whose ``peak`` voxel meets gold 111 with γ = 12.6°.

    Parameters
    ----------
    shape : (int, int, int)
        ``(n_rocking, y, x)``.
    peak : (int, int, int) or None
        Index at which the peak falls; None for ``n // 2``. The detector angles always refer to the frame's middle.
    step_deg : float
        Step of θ between frames.
    distance_m, pixel_m : float
        Detector distance and pixel pitch.
    """
    at = (shape[0] // 2, shape[1] // 2, shape[2] // 2) if peak is None else peak
    wanted = 2 * np.pi * np.sqrt(3) / GOLD_LATTICE_CONSTANT_ANGSTROM
    middle = ((shape[1] - 1) / 2, (shape[2] - 1) / 2)
    detector = Detector(pixel_size_m=(pixel_m, pixel_m), distance_m=distance_m, direct_beam_yx=middle)
    theta = np.asarray(0.2 + step_deg * (np.arange(shape[0]) - shape[0] // 2), dtype=np.float64)

    def geometry(delta: float) -> ScanGeometry:
        return ScanGeometry(
            shape=shape,
            peak=at,
            beam=Beam(photon_energy_ev=9000.0),
            detector=detector,
            diffractometer=APS_34IDC,
            motors_deg={"th": theta, "chi": 90.0, "phi": -5.0, "del": delta, "gam": 12.6},
        )

    return geometry(float(brentq(lambda delta: np.linalg.norm(geometry(delta).grid.q_bragg) - wanted, 15.0, 50.0)))


def simulate_scan(
    crystal: LatticeCrystal,
    geometry: ScanGeometry,
    *,
    n_photons: float,
    seed: int,
    imperfections: Imperfections | None = None,
    name: str = "simulated scan",
) -> SimulatedScan:
    """Record a crystal's rocking scan.

    Parameters
    ----------
    crystal : LatticeCrystal
        In the laboratory, Å; its lattice planes lie at the geometry's peak.
    geometry : ScanGeometry
        Instrument and angles.
    n_photons : float
        Expected photons of the crystal within the frames.
    seed : int
        Seed of noise, bad pixels and aliens.
    imperfections : Imperfections or None
        What spoils the scan; None takes the defaults, `PERFECT` nothing.
    name : str
        The scan's name.

    Raises
    ------
    InputError
        If the crystal doesn't fit the field of view that the angular steps allow.
    """
    faults = imperfections or Imperfections()
    expected = _expected(crystal, geometry, n_photons)
    dead, hot = bad_pixels(geometry.shape[1:], n_dead=faults.n_dead, n_hot=faults.n_hot, seed=seed + 1)
    flat = _flat(dead, faults.flat_variation, seed + 2)
    spoiled = add_aliens(expected, n_aliens=faults.n_aliens, n_photons=faults.alien_share * n_photons, seed=seed + 3)
    frames = np.random.default_rng(seed).poisson((spoiled + faults.background) * flat).astype(np.int32)
    frames[:, hot] += _hot_counts(frames.shape[0], int(hot.sum()), seed + 4)
    scan = BraggScan(
        frames=frames,
        mask=np.ones(geometry.shape[1:], dtype=bool),
        beam=geometry.beam,
        detector=geometry.detector,
        diffractometer=geometry.diffractometer,
        motors_deg=geometry.motors_deg,
        flat=flat,
        name=name,
    )
    return SimulatedScan(scan=scan, crystal=crystal, geometry=geometry, expected=expected, dead=dead, hot=hot)


def simulate_demo_scan(*, seed: int = 0, shape: Shape = (96, 128, 128), n_photons: float = 2e7) -> SimulatedScan:
    """Simulate the demo's scan: a 340 nm gold crystal pulled by its substrate, 34-ID-C geometry, all imperfections.

    Parameters
    ----------
    seed : int
        Seed of crystal and noise.
    shape : (int, int, int)
        ``(n_rocking, y, x)``; at least 48 along each axis.
    n_photons : float
        Expected photons of the crystal.
    """
    if min(shape) < 48:
        raise InputError(f"the demo's crystal needs at least 48 frames of 48 × 48 pixels, got {shape}")
    rng = np.random.default_rng(seed)
    offset = rng.integers(-3, 4, size=3)
    middle = np.array(shape) // 2 + offset
    geometry = gold_111_geometry(shape, peak=(int(middle[0]), int(middle[1]), int(middle[2])))
    crystal = gold_crystal(geometry.grid.q_bragg, seed=seed, diameter_angstrom=3400.0, phase_range_rad=4.0)
    return simulate_scan(crystal, geometry, n_photons=n_photons, seed=seed, name=f"demo {seed}")


def _expected(crystal: LatticeCrystal, geometry: ScanGeometry, n_photons: float) -> NDArray[np.float32]:
    """Return the crystal's mean counts, cut from a wider pattern so that nothing wraps round the frames' edge."""
    wide = tuple(_even(n + 2 * abs(p - n // 2) + n // 4) for n, p in zip(geometry.shape, geometry.peak, strict=True))
    whole: Shape = (wide[0], wide[1], wide[2])
    grid = geometry.grid
    psi = crystal.on_grid(basis=grid.object_basis(whole), h=grid.q_bragg, shape=whole)
    pattern = expected_intensities(psi, n_photons=1.0) / voxel_transfer(whole) ** 2
    starts = [w // 2 - p for w, p in zip(whole, geometry.peak, strict=True)]
    cut = tuple(slice(s, s + n) for s, n in zip(starts, geometry.shape, strict=True))
    inside = pattern[cut]
    return np.asarray(inside * (n_photons / inside.sum(dtype=np.float64)), dtype=np.float32)


def _even(n: int) -> int:
    return n + n % 2


def _flat(dead: NDArray[np.bool_], variation: float, seed: int) -> NDArray[np.float32]:
    flat = np.random.default_rng(seed).normal(1.0, variation, dead.shape).clip(0.5, 1.5)
    flat[dead] = 0.0
    return flat.astype(np.float32)


def _hot_counts(n_frames: int, n_hot: int, seed: int) -> NDArray[np.int32]:
    """Return the counts that hot pixels add, ``(n_frames, n_hot)``: some at a steady rate, some in rare bursts."""
    rng = np.random.default_rng(seed)
    rates = np.exp(rng.uniform(np.log(20), np.log(20_000), n_hot))
    duty = np.where(rng.random(n_hot) < 0.5, 1.0, 0.3)
    on = rng.random((n_frames, n_hot)) < duty
    return (rng.poisson(rates, (n_frames, n_hot)) * on).astype(np.int32)
