"""Physical constants and conversions in the units used inside: Å, eV, radians, photons.

Lengths that people set on an instrument (pixel size, distances) stay in metres and say so in their name.
"""

import numpy as np
from numpy.typing import NDArray

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


# What files write in their ``units`` attributes, in small letters: kind of quantity, and how much of its first one.
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("deg", "degree", "degrees", "degr", "°"), ("angle", 1.0)),
    **dict.fromkeys(("rad", "radian", "radians"), ("angle", float(np.degrees(1)))),
    **dict.fromkeys(("mrad", "milliradian"), ("angle", float(np.degrees(1e-3)))),
    **dict.fromkeys(("urad", "µrad", "μrad"), ("angle", float(np.degrees(1e-6)))),
    **dict.fromkeys(("mdeg", "millidegree"), ("angle", 1e-3)),
    **dict.fromkeys(("m", "metre", "meter", "metres", "meters"), ("length", 1.0)),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), ("length", 1e-2)),
    **dict.fromkeys(("mm", "millimetre", "millimeter"), ("length", 1e-3)),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"), ("length", 1e-6)),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), ("length", 1e-9)),
    **dict.fromkeys(("angstrom", "angstroms", "å"), ("length", 1e-10)),
    **dict.fromkeys(("ev",), ("energy", 1.0)),
    **dict.fromkeys(("kev",), ("energy", 1e3)),
    **dict.fromkeys(("j", "joule", "joules"), ("energy", 1 / CHARGE_C)),
}


def in_unit(
    value: float | NDArray[np.float64], recorded: str | None, wanted: str
) -> float | NDArray[np.float64] | None:
    """Return a quantity in the wanted unit.

    Parameters
    ----------
    value : float or array
        As a file has it.
    recorded : str or None
        The file's word for its unit ("deg", "mrad", "cm", "keV"); a word that isn't known says nothing.
    wanted : str
        A unit that is known.

    Returns
    -------
    float, array or None
        None if the recorded unit says nothing, or is of another kind: the caller's assumption holds.
    """
    there, want = _UNITS.get((recorded or "").strip().lower()), _UNITS[wanted.lower()]
    if there is None or there[0] != want[0]:
        return None
    return value * (there[1] / want[1])
