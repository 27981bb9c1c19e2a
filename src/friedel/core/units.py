"""Physical constants and conversions in the units used inside: Å, eV, radians, photons.

Lengths that people set on an instrument (pixel size, distances) stay in metres and say so in their name.
"""

from scipy import constants

ANGSTROM_PER_M = 1e10
ANGSTROM_PER_NM = 10.0
HC_EV_ANGSTROM = constants.h * constants.c / constants.e * ANGSTROM_PER_M


def wavelength_angstrom(photon_energy_ev: float) -> float:
    """Return the wavelength, Å, of photons of the given energy, eV."""
    return HC_EV_ANGSTROM / photon_energy_ev


def photon_energy_ev(wavelength: float) -> float:
    """Return the photon energy, eV, at the given wavelength, Å."""
    return HC_EV_ANGSTROM / wavelength
