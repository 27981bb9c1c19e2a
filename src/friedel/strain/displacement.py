"""From the phase to the displacement along h: u = −φ/|h|."""

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import unwrap_phase

Floats = NDArray[np.float64]


def displacement_along_h(
    field: NDArray[np.complexfloating], inside: NDArray[np.bool_], h_length: float, *, unwrap: bool
) -> NDArray[np.float32]:
    """Return the displacement along h.

    Parameters
    ----------
    field : (z, y, x) complex
        ψ = ρ exp(−i h·u).
    inside : (z, y, x) bool
        The crystal, in one piece.
    h_length : float
        |h|, Å⁻¹.
    unwrap : bool
        Join jumps of 2π; the mean over the crystal is then zero.

    Returns
    -------
    (z, y, x) float32, Å
        NaN outside.

    References
    ----------
    Unwrapping: Abdul-Rahman et al., Appl. Opt. 46, 6623 (2007), as scikit-image has it.
    """
    phase = np.angle(field).astype(np.float64)
    if unwrap:
        joined = unwrap_phase(np.ma.masked_array(phase, ~inside), rng=0)
        phase = np.ma.filled(joined, np.nan)
        phase = phase - np.nanmean(phase)
    return np.where(inside, -phase / h_length, np.nan).astype(np.float32)
