"""Physical constants and conversions in the units used inside: Å, eV, radians, photons.

Lengths that people set on an instrument (pixel size, distances) stay in metres and say so in their name.
"""

# The first three are exact by the definition of the SI, the last is CODATA 2022's. SciPy's table of them takes 0.2 s to
# import, in every process of a watch.
PLANCK_J_S, LIGHT_M_S, CHARGE_C = 6.62607015e-34, 299_792_458.0, 1.602176634e-19
ELECTRON_RADIUS_M = 2.8179403205e-15
"""Classical radius of the electron."""
ANGSTROM_PER_M = 1e10
ANGSTROM_PER_NM = 10.0
HC_EV_ANGSTROM = PLANCK_J_S * LIGHT_M_S / CHARGE_C * ANGSTROM_PER_M


def wavelength_angstrom(photon_energy_ev: float) -> float:
    """Return the wavelength, Å, of photons of the given energy, eV."""
    return HC_EV_ANGSTROM / photon_energy_ev


def photon_energy_ev(wavelength: float) -> float:
    """Return the photon energy, eV, at the given wavelength, Å."""
    return HC_EV_ANGSTROM / wavelength
