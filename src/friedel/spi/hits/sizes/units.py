"""Sizes in nanometres and fluences in photons/µm², where the beam and the detector's place are known."""

from dataclasses import replace

import numpy as np

from friedel.core.units import ELECTRON_RADIUS_M, wavelength_angstrom
from friedel.spi.records import Beam, HitScores

PROTEIN_PER_NM3 = 430.0
"""Electrons of a particle's material that its fluence is told for."""
_ELECTRON_RADIUS_UM = ELECTRON_RADIUS_M * 1e6


def in_nanometres(scores: HitScores, beam: Beam, shape: tuple[int, ...]) -> HitScores:
    """Return scores with their diameters in nm and their fluences in photons/µm².

    Parameters
    ----------
    scores : HitScores
        With lengths in pixels of the real-space image.
    beam : Beam
        Photon energy, distance and pixel size.
    shape : (..., y, x)
        Of the frames as recorded; large ones were binned.
    """
    from friedel.spi.hits.preparation.prepare import (  # loads torch, which reading scores doesn't need
        EDGE,
        natural_binning,
    )

    pixel = beam.pixel_size_m * natural_binning(shape[-2:])
    length_nm = wavelength_angstrom(beam.photon_energy_ev) / 10 * beam.distance_m / (EDGE * pixel)
    diameter = scores.diameter * np.float32(length_nm)
    electrons = PROTEIN_PER_NM3 * np.pi / 6 * diameter.astype(np.float64) ** 3
    # Scattered along the beam: fluence × (r_e × electrons)² × solid angle.
    cross_section_um2 = (_ELECTRON_RADIUS_UM * electrons) ** 2 * (pixel / beam.distance_m) ** 2
    return replace(
        scores,
        diameter=diameter,
        diameter_error=scores.diameter_error * np.float32(length_nm),
        fluence=(scores.fluence / cross_section_um2).astype(np.float32),
        length_unit="nm",
    )
