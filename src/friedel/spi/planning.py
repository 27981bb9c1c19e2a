"""Plan a run of single particles: fringes per pixel, photons per frame, and hits for a wanted resolution.

Formulas for a compact particle of even electron density seen in small angles; each stands with its source.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from friedel.core.options import Options
from friedel.core.units import ANGSTROM_PER_M, ANGSTROM_PER_NM, ELECTRON_RADIUS_M, wavelength_angstrom

PROTEIN_ELECTRONS_PER_ANGSTROM3 = 0.43
"""1.35 g/cm³ of H50 C30 N9 O10 S1 (Bergh et al., Q. Rev. Biophys. 41, 181 (2008), doi:10.1017/S003358350800471X)."""

LEAST_VISITS = 3.0
"""Least mean number of frames that meet a voxel of the shell, however bright they are: e⁻³, one voxel in twenty, is
then met by none."""


class ParticleWish(Options):
    """What is known before a run, and what is wanted of it."""

    size_nm: Annotated[float, Field(gt=0)]
    """Diameter of the particle."""
    energy_ev: Annotated[float, Field(gt=50, lt=50_000)]
    """Photon energy."""
    distance_m: Annotated[float, Field(gt=0)]
    """From the beam to the detector."""
    pixel_um: Annotated[float, Field(gt=0)] = 75.0
    """Pitch of the detector's pixels."""
    pixels: Annotated[int, Field(gt=0)] = 1024
    """Pixels along a side."""
    photons_per_um2: Annotated[float, Field(gt=0)] = 1e11
    """Photons a pulse and square micrometre in the focus."""
    electrons_per_angstrom3: Annotated[float, Field(gt=0)] = PROTEIN_ELECTRONS_PER_ANGSTROM3
    """Mean electron density; gold 4.66, water 0.334."""
    resolution_nm: Annotated[float, Field(gt=0)] = 5.0
    """Wanted resolution, full period."""
    signal_to_noise: Annotated[float, Field(gt=0)] = 3.0
    """Wanted in every independent voxel of the merged intensity at that resolution."""


@dataclass(frozen=True, kw_only=True)
class ParticleAdvice:
    """What follows from a wish.

    Attributes
    ----------
    pixels_per_fringe : float
        Of the particle's pattern.
    edge_resolution_nm : float
        Full period at the middle of the detector's edge.
    photons_per_frame : float
        Scattered by the particle into all angles.
    photons_per_speckle : float
        Mean in one independent solid angle at the wanted resolution.
    hits : float
        Frames of single particles needed.
    warnings : tuple of str
        What won't work, a sentence each.
    """

    pixels_per_fringe: float
    edge_resolution_nm: float
    photons_per_frame: float
    photons_per_speckle: float
    hits: float
    warnings: tuple[str, ...] = ()


def plan_particles(wish: ParticleWish) -> ParticleAdvice:
    """Return sampling, photons and hits for a wish."""
    wavelength, size = wavelength_angstrom(wish.energy_ev), wish.size_nm * ANGSTROM_PER_NM
    fluence = wish.photons_per_um2 / (1e-6 * ANGSTROM_PER_M) ** 2
    period = wish.resolution_nm * ANGSTROM_PER_NM
    speckle = fluence * porod_cross_section(size, period, wish.electrons_per_angstrom3) * (wavelength / size) ** 2
    half = np.arctan(wish.pixels * wish.pixel_um * 1e-6 / 2 / wish.distance_m)
    advice = ParticleAdvice(
        pixels_per_fringe=wavelength * wish.distance_m / (size * wish.pixel_um * 1e-6),
        edge_resolution_nm=float(wavelength / (2 * np.sin(half / 2)) / ANGSTROM_PER_NM),
        photons_per_frame=fluence * sphere_cross_section(size, wavelength, wish.electrons_per_angstrom3),
        photons_per_speckle=speckle,
        hits=hits_needed(speckle, size, period, wish.signal_to_noise),
    )
    return ParticleAdvice(**{**advice.__dict__, "warnings": _warnings(wish, advice)})


def sphere_cross_section(size: float, wavelength: float, density: float) -> float:
    """Return the photons a sphere scatters over the photons per area that meet it, Å².

    r_e² n² V² ∫(3 j₁(qR)/qR)² dΩ in small angles, with ∫₀^∞ (3 j₁(x)/x)² x dx = 9/4; lengths in Å, n electrons per Å³.

    References
    ----------
    Guinier & Fournet, Small-Angle Scattering of X-rays (Wiley, 1955), chapter 2.
    """
    radius, k = size / 2, 2 * np.pi / wavelength
    electrons = density * 4 / 3 * np.pi * radius**3
    return float((ELECTRON_RADIUS_M * ANGSTROM_PER_M * electrons) ** 2 * 2 * np.pi * 9 / 4 / (k * radius) ** 2)


def porod_cross_section(size: float, period: float, density: float) -> float:
    """Return dσ/dΩ at q = 2π/period, fringes averaged, Å² a steradian: r_e² n² 2π S / q⁴ of a sphere's surface S.

    References
    ----------
    Porod, Kolloid-Z. 124, 83 (1951), doi:10.1007/BF01512792.
    """
    q, surface = 2 * np.pi / period, np.pi * size**2
    return float((ELECTRON_RADIUS_M * ANGSTROM_PER_M * density) ** 2 * 2 * np.pi * surface / q**4)


def hits_needed(photons_per_speckle: float, size: float, period: float, signal_to_noise: float) -> float:
    """Return the frames that give every independent voxel of the shell at ``period`` its signal.

    A frame passes through a share d/2L of the shell's voxels (a ring of circumference 2πq on a sphere of 4πq², voxels
    of 2π/L); n hits leave n·(d/2L)·p photons in each, whose Poisson signal-to-noise is the root.

    Parameters
    ----------
    photons_per_speckle : float
        p: mean photons of one frame in one independent solid angle at ``period``.
    size, period : float
        Diameter L of the particle and full period d, in one unit of length.
    signal_to_noise : float
        Wanted in every independent voxel.

    References
    ----------
    The counting of Shannon voxels as in Loh & Elser, Phys. Rev. E 80, 026705 (2009), doi:10.1103/PhysRevE.80.026705.
    """
    share = period / (2 * size)
    return max(signal_to_noise**2 / (photons_per_speckle * share), LEAST_VISITS / share)


def _warnings(wish: ParticleWish, advice: ParticleAdvice) -> tuple[str, ...]:
    found = []
    if advice.pixels_per_fringe < 2:
        found.append(f"{advice.pixels_per_fringe:.1f} pixels a fringe, 2 are the least: move the detector back")
    if advice.edge_resolution_nm > wish.resolution_nm:
        found.append(f"the detector ends at {advice.edge_resolution_nm:.2g} nm: move it nearer, or raise the energy")
    if advice.photons_per_frame < 100:
        found.append(f"{advice.photons_per_frame:.0f} photons a frame: orientations are hard to find below some 100")
    return tuple(found)


def particle_words(wish: ParticleWish, advice: ParticleAdvice) -> list[tuple[str, str]]:
    """Return what to tell a person, (what, how much)."""
    return [
        ("sampling", f"{advice.pixels_per_fringe:.1f} pixels a fringe"),
        ("resolution at the detector's edge", f"{advice.edge_resolution_nm:.2g} nm"),
        ("photons scattered", f"{advice.photons_per_frame:.3g} a frame"),
        (f"photons a speckle at {wish.resolution_nm:g} nm", f"{advice.photons_per_speckle:.3g}"),
        ("hits needed", f"{advice.hits:.2g} for a signal-to-noise of {wish.signal_to_noise:g}"),
    ]
