"""Plan a rocking scan before the beam time: sampling, steps, range, photons and seconds for a wanted strain error.

Formulas of kinematic diffraction; the crystal is a compact body of one size along every axis. Each figure's formula and
source stands at its function; tests hold them against simulated scans.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.colors import LogNorm
from numpy.typing import NDArray
from pydantic import Field, field_validator

from friedel.bcdi.forward.bragg import count_photons, expected_intensities, voxel_transfer
from friedel.core.errors import PlanError
from friedel.core.figures import BLUE, INTENSITY_MAP, TEXT_POINTS, new_figure, plain_axes
from friedel.core.files.atomic import replacing
from friedel.core.optional import load_optional
from friedel.core.options import Options
from friedel.core.outlines import SHAPES
from friedel.core.polyhedra import coverage
from friedel.core.units import ANGSTROM_PER_M, ANGSTROM_PER_NM, ELECTRON_RADIUS_M, wavelength_angstrom

WANTED_OVERSAMPLING = 3.0
"""Along the rocking axis: 2 is the least in one dimension (Miao, Sayre & Chapman, J. Opt. Soc. Am. A 15, 1662 (1998),
doi:10.1364/JOSAA.15.001662); a third step for drifts and for what a crystal's corners stick out."""
COHERENT_SHARE = 0.7
"""A coherence length shorter than the crystal over this lowers the visibility of its finest fringes below a half
(Gaussian coherence, exp(−r²/2l²))."""

REACHED = 1.5
"""A voxel's error over `strain_error`, which takes the other voxels as known. With the amplitudes and phases of all of
them unknown, the Cramér–Rao bound (the whole Fisher matrix inverted) is 1.4 times as large on Wulff crystals ten voxels
across; reconstructions from scratch scatter about 1.5 (docs/howto/planning.md)."""


class ScanWish(Options):
    """What is known before a beam time, and what is wanted of it."""

    size_nm: Annotated[float, Field(gt=0)]
    """Diameter of the crystal."""
    energy_ev: Annotated[float, Field(gt=1000, lt=200_000)]
    """Photon energy."""
    distance_m: Annotated[float, Field(gt=0)]
    """From the sample to the detector."""
    pixel_um: Annotated[float, Field(gt=0)] = 55.0
    """Pitch of the detector's pixels."""
    pixels: Annotated[int, Field(gt=0)] = 256
    """Pixels along the detector's shorter side that are read."""
    material: str = "Au"
    """Name of a crystal in xrayutilities.materials."""
    hkl: tuple[int, int, int] = (1, 1, 1)
    """The Bragg peak."""
    flux_per_um2: Annotated[float, Field(gt=0)] = 1e10
    """Coherent photons a second and square micrometre at the sample."""
    resolution_nm: Annotated[float, Field(gt=0)] = 15.0
    """Wanted resolution: edge of a voxel that counts as independent."""
    strain_error: Annotated[float, Field(gt=0)] = 1e-4
    """Wanted standard error of the strain in such a voxel."""
    coherence_transverse_um: Annotated[float, Field(gt=0)] | None = None
    """Transverse coherence length (RMS width of the Gaussian); None: not limiting."""
    coherence_longitudinal_um: Annotated[float, Field(gt=0)] | None = None
    """Longitudinal coherence length; None: not limiting."""

    @field_validator("hkl", mode="before")
    @classmethod
    def _three_numbers(cls, hkl: object) -> object:
        if isinstance(hkl, (int, float, str)):
            raise ValueError("write the three indices with commas, hkl=1,1,1")
        return hkl


@dataclass(frozen=True, kw_only=True)
class ScanAdvice:
    """What follows from a wish.

    Attributes
    ----------
    two_theta_deg, d_spacing_angstrom : float
        The peak.
    oversampling_detector : float
        Pixels per fringe of the crystal.
    step_deg, range_deg : float
        Of the rocking curve.
    frames : int
        Steps in it, ends included.
    pixels_needed : int
        Along a side of the detector, to reach the wanted resolution.
    detector_resolution_nm, corner_resolution_nm : float
        Voxel that the pixels read allow along a side, and in the detector's corners.
    photon_resolution_nm : float
        Voxel out to which a speckle of the whole scan holds one photon on average; beyond, a pattern is mostly empty.
    photons : float
        In the whole scan, for the wanted strain error.
    photons_per_s : float
        Mean rate at which one rocking position's share of them arrives: photons in the scan a second of exposure
        per frame.
    seconds_per_frame, seconds : float
        Exposure per step, and of the whole scan.
    warnings : tuple of str
        What won't work, a sentence each.
    """

    two_theta_deg: float
    d_spacing_angstrom: float
    oversampling_detector: float
    step_deg: float
    range_deg: float
    frames: int
    pixels_needed: int
    detector_resolution_nm: float
    corner_resolution_nm: float
    photon_resolution_nm: float
    photons: float
    photons_per_s: float
    seconds_per_frame: float
    seconds: float
    warnings: tuple[str, ...] = ()


def plan_scan(wish: ScanWish) -> ScanAdvice:
    """Return steps, range, photons and seconds for a wish.

    Raises
    ------
    PlanError
        If the material is unknown or the peak can't be reached at this energy.
    """
    wavelength = wavelength_angstrom(wish.energy_ev)
    d, structure = _lattice(wish)
    if wavelength > 2 * d:
        raise PlanError(f"peak {wish.hkl} (d = {d:.3f} Å) is out of reach at λ = {wavelength:.3f} Å: raise energy_ev")
    size, voxel = wish.size_nm * ANGSTROM_PER_NM, wish.resolution_nm * ANGSTROM_PER_NM
    theta = float(np.arcsin(wavelength / (2 * d)))
    step = rocking_step_rad(d, size, WANTED_OVERSAMPLING)
    frames = int(np.ceil(d / voxel / step)) + 1
    photons = photons_for_strain(size, voxel, d, wish.strain_error)
    rate = scan_photons_per_s(wish, d, structure, theta, step)
    pixel = wish.pixel_um * 1e-6
    exposure = photons / rate
    edge = wavelength * wish.distance_m / (wish.pixels * pixel) / ANGSTROM_PER_NM
    advice = ScanAdvice(
        two_theta_deg=float(np.rad2deg(2 * theta)),
        d_spacing_angstrom=d,
        oversampling_detector=detector_oversampling(wavelength, wish.distance_m, pixel, size),
        step_deg=float(np.rad2deg(step)),
        range_deg=float(np.rad2deg(step * (frames - 1))),
        frames=frames,
        pixels_needed=int(np.ceil(wavelength * wish.distance_m / (pixel * voxel))),
        detector_resolution_nm=edge,
        corner_resolution_nm=edge / np.sqrt(2),
        photon_resolution_nm=photon_resolution(photons, size) / ANGSTROM_PER_NM,
        photons=photons,
        photons_per_s=rate,
        seconds_per_frame=exposure,
        seconds=exposure * frames,
    )
    return ScanAdvice(**{**advice.__dict__, "warnings": _warnings(wish, advice, theta)})


def detector_oversampling(wavelength: float, distance_m: float, pixel_m: float, size: float) -> float:
    """Return λ D / (p L): pixels per fringe of a body of size L.

    Parameters
    ----------
    wavelength : float
        λ, Å.
    distance_m, pixel_m : float
        Detector distance D and pixel pitch p, m.
    size : float
        L, Å.

    References
    ----------
    Miao, Sayre & Chapman, J. Opt. Soc. Am. A 15, 1662 (1998); Robinson & Harder, Nat. Mater. 8, 291 (2009),
    doi:10.1038/nmat2400.
    """
    return wavelength * distance_m / (pixel_m * size)


def rocking_step_rad(d_spacing: float, size: float, oversampling: float) -> float:
    """Return d / (σ L), radians: the step that moves q by |h| δθ = 2π/(σ L), lengths in Å.

    For an axis at right angles to h; one at an angle α to it moves q by |h| sin α δθ, so that larger steps would do.
    """
    return d_spacing / (oversampling * size)


def phase_error_rad(photons: float, n_voxels: float) -> float:
    """Return the least standard error of the phase in one of ``n_voxels`` equally bright voxels, radians.

    A Poisson intensity fixes its amplitude to ±1/2. A phase change δφ of a voxel with |ψ|² = N/n changes the amplitudes
    by Σ(δA)² = |ψ|²δφ²/2, half of it lost with the phases; so the Fisher information is 2|ψ|², and σ = √(n / 2N)
    (Cramér–Rao bound for one voxel, the others known; well oversampled patterns come within a few tens of percent).
    """
    return float(np.sqrt(n_voxels / (2 * photons)))


def strain_error(photons: float, size: float, voxel: float, d_spacing: float) -> float:
    """Return the least standard error of the strain in a voxel.

    Central differences of the phase over two voxels, ε = (φ₋ − φ₊)/(2 a |h|), of independent errors σ:
    σ_ε = σ / (√2 a |h|), |h| = 2π/d.

    Parameters
    ----------
    photons : float
        In the whole scan.
    size : float
        Diameter of the crystal, Å.
    voxel : float
        Edge a of the voxel, Å.
    d_spacing : float
        d, Å.
    """
    sigma = phase_error_rad(photons, _volume(size) / voxel**3)
    return float(sigma * d_spacing / (2 * np.pi * np.sqrt(2) * voxel))


def photons_for_strain(size: float, voxel: float, d_spacing: float, error: float) -> float:
    """Return the photons in a scan that a wanted strain error takes: `REACHED` times `strain_error`, solved for them.

    Parameters
    ----------
    size, voxel, d_spacing : float
        Diameter of the crystal, edge of the voxel and lattice spacing, Å.
    error : float
        Standard error of the strain.
    """
    return (REACHED * strain_error(1.0, size, voxel, d_spacing)) ** 2 / error**2


def photon_resolution(photons: float, size: float) -> float:
    """Return π L / (12 π N)^¼: the voxel, Å, out to which an independent speckle holds one of N photons on average.

    Fringes averaged, the form factor falls as 2πS/q⁴ with the surface S = πL²; over V L³, its sum over all speckles of
    (2π/L)³ by Parseval, V = πL³/6, it is 12π/(Lq)⁴ of N. A voxel is half a period, π/q.

    Parameters
    ----------
    photons : float
        In the whole scan.
    size : float
        Diameter L of the crystal, Å.

    References
    ----------
    Porod, Kolloid-Z. 124, 83 (1951), doi:10.1007/BF01512792.
    """
    return float(np.pi * size / (12 * np.pi * photons) ** 0.25)


def scan_photons_per_s(wish: ScanWish, d_spacing: float, structure: float, theta: float, step: float) -> float:
    """Return the photons of the whole scan per second of exposure per frame.

    A voxel of the measurement counts J t ΔΩ r_e² P |F/v|² |Ŝ(q)|², with J the flux density, F the structure factor of
    the cell of volume v, Ŝ the crystal's form factor and P the mean polarisation 1. By Parseval Σ|Ŝ|² over all voxels
    is (2π)³V over a voxel's volume in q, which is (2πp/λD)² |h| δθ cos θ.

    Parameters
    ----------
    wish : ScanWish
        Beam, detector and crystal.
    d_spacing : float
        Lattice spacing, Å.
    structure : float
        |F|/v, electrons per Å³.
    theta : float
        Bragg angle, radians.
    step : float
        Rocking step δθ, radians.

    References
    ----------
    Als-Nielsen & McMorrow, Elements of Modern X-ray Physics, 2nd ed. (Wiley, 2011), chapters 4 and 5,
    doi:10.1002/9781119998365.
    """
    wavelength, pixel = wavelength_angstrom(wish.energy_ev), wish.pixel_um * 1e-6
    solid_angle = (pixel / wish.distance_m) ** 2
    q_pixel = 2 * np.pi / wavelength * pixel / wish.distance_m
    q_volume = q_pixel**2 * (2 * np.pi / d_spacing) * step * np.cos(theta)
    flux = wish.flux_per_um2 / (1e-6 * ANGSTROM_PER_M) ** 2
    power = (ELECTRON_RADIUS_M * ANGSTROM_PER_M * structure) ** 2
    return float(flux * solid_angle * power * (2 * np.pi) ** 3 * _volume(wish.size_nm * ANGSTROM_PER_NM) / q_volume)


def _volume(size: float) -> float:
    return float(np.pi / 6 * size**3)


def _lattice(wish: ScanWish) -> tuple[float, float]:
    """Return the planes' spacing, Å, and |F|/v, electrons per Å³."""
    materials = load_optional(
        "xrayutilities.materials", package="xrayutilities", extra="bcdi", purpose="know a material's structure factor"
    )
    crystal = getattr(materials, wish.material, None)
    if not isinstance(crystal, materials.Crystal):
        raise PlanError(f"material {wish.material!r} is no crystal of xrayutilities.materials; try 'Au', 'Pt' or 'Si'")
    q = np.asarray(crystal.Q(*wish.hkl))
    factor = abs(complex(crystal.StructureFactor(q, en=wish.energy_ev)))
    if factor < 1e-6:
        raise PlanError(f"peak {wish.hkl} of {wish.material} is extinct; choose another one")
    return float(2 * np.pi / np.linalg.norm(q)), factor / float(crystal.lattice.UnitCellVolume())


def _warnings(wish: ScanWish, advice: ScanAdvice, theta: float) -> tuple[str, ...]:
    found = []
    if advice.oversampling_detector < 2:
        found.append(
            f"the detector sees {advice.oversampling_detector:.1f} pixels a fringe, 2 are the least: move it back to "
            f"{2 * wish.distance_m / advice.oversampling_detector:.2f} m or more"
        )
    if wish.pixels < advice.pixels_needed:
        found.append(
            f"{wish.pixels} pixels end at {advice.detector_resolution_nm:.1f} nm; {wish.resolution_nm:g} nm take "
            f"{advice.pixels_needed}"
        )
    size_um = wish.size_nm * 1e-3
    path = size_um * 2 * float(np.sin(theta)) ** 2
    for length, needed, name in (
        (wish.coherence_transverse_um, size_um, "transverse"),
        (wish.coherence_longitudinal_um, path, "longitudinal"),
    ):
        if length is not None and length < needed / COHERENT_SHARE:
            found.append(f"{name} coherence of {length:g} µm blurs fringes of a path of {needed:.2g} µm: use slits")
    return tuple(found)


def advice_words(wish: ScanWish, advice: ScanAdvice) -> list[tuple[str, str]]:
    """Return what to tell a person, (what, how much), in the order in which a scan is set up."""
    reach = f"{advice.detector_resolution_nm:.1f} nm at the sides, {advice.corner_resolution_nm:.1f} nm in the corners"
    return [
        ("peak", f"2θ = {advice.two_theta_deg:.2f}°, d = {advice.d_spacing_angstrom:.4f} Å"),
        ("oversampling on the detector", f"{advice.oversampling_detector:.1f} pixels a fringe"),
        ("rocking step", f"{advice.step_deg:.4f}° (oversampling {WANTED_OVERSAMPLING:g})"),
        ("rocking range", f"{advice.range_deg:.3f}° in {advice.frames} frames"),
        ("detector", f"{advice.pixels_needed} pixels for {wish.resolution_nm:g} nm; {wish.pixels} reach {reach}"),
        ("photons in the scan", f"{advice.photons:.2e} for a strain error of {wish.strain_error:.0e} per voxel"),
        ("photons reach", f"{advice.photon_resolution_nm:.1f} nm (one a speckle)"),
        ("exposure", f"{advice.seconds_per_frame:.3g} s a frame, {advice.seconds:.3g} s in all"),
    ]


def planned_pattern(wish: ScanWish, advice: ScanAdvice, *, seed: int = 0, most: int = 128) -> NDArray[np.float32]:
    """Return the counts of a planned scan of a Wulff crystal without strain, ``(frames, y, x)`` photons.

    Parameters
    ----------
    wish, advice
        What is planned.
    seed : int
        Of the crystal's shape and the photons.
    most : int
        Pixels along a side at most, about the peak.
    """
    n = min(wish.pixels, most)
    size = wish.size_nm * ANGSTROM_PER_NM
    field = np.array([advice.d_spacing_angstrom / np.deg2rad(advice.step_deg)] + 2 * [_field(wish)])
    if min(field) < 1.3 * size:
        raise PlanError("the pattern is undersampled and can't be simulated; see the warnings")
    outline = SHAPES["wulff"](np.random.default_rng(seed))
    outline = outline.transformed(np.eye(3) * size / outline.extent.mean()).centred()
    # Wider than what is shown, so that what leaves at one edge doesn't come back at the other.
    shown = (advice.frames, n, n)
    wide = (shown[0] + shown[0] // 4, n + n // 4, n + n // 4)
    steps = field / wide
    axes = [(np.arange(m) - m // 2) * step for m, step in zip(wide, steps, strict=True)]
    filled = coverage(outline, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), np.diag(steps))
    pattern = expected_intensities(filled.astype(np.complex64), n_photons=1.0) / voxel_transfer(wide) ** 2
    pattern = pattern[tuple(slice(w // 2 - m // 2, w // 2 - m // 2 + m) for w, m in zip(wide, shown, strict=True))]
    return count_photons(pattern * np.float32(advice.photons / pattern.sum(dtype=np.float64)), seed=seed)


def _field(wish: ScanWish) -> float:
    """Return the width that one pixel's step in q stands for, λD/p, Å: of the box of any number of pixels."""
    return wavelength_angstrom(wish.energy_ev) * wish.distance_m / (wish.pixel_um * 1e-6)


def save_planned(path: Path, wish: ScanWish, advice: ScanAdvice, *, seed: int = 0) -> Path:
    """Draw a planned scan's middle frame and rocking curve, as counted, into a PNG file.

    Parameters
    ----------
    path : Path
        The picture.
    wish, advice
        What is planned.
    seed : int
        Of the crystal's shape and the photons.

    Raises
    ------
    PlanError
        If the pattern is undersampled.
    InputError
        If the file can't be written.
    """
    counts = planned_pattern(wish, advice, seed=seed)
    figure = new_figure(9.0, 3.8)
    left, right = figure.subplots(1, 2)
    middle = np.ma.masked_less(counts[len(counts) // 2], 1)
    image = left.imshow(middle, norm=LogNorm(1, max(2.0, float(counts.max()))), cmap=INTENSITY_MAP, origin="lower")
    plain_axes(left, x="column (pixels)", y="row (pixels)")
    left.grid(visible=False)
    left.set_title("middle frame", fontsize=TEXT_POINTS)
    right.set_title("rocking curve", fontsize=TEXT_POINTS)
    figure.colorbar(image, ax=left, label="photons")
    angles = (np.arange(len(counts)) - len(counts) // 2) * advice.step_deg
    right.semilogy(angles, np.maximum(counts.sum(axis=(1, 2)), 0.5), ".-", color=BLUE)
    plain_axes(right, x="angle from the peak (°)", y="photons a frame")
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=140)
    return path
