"""What the error bars mean for the verdict: trusted to so many radians, or not at all."""

from dataclasses import replace

from friedel.bcdi.records import Quality, Uncertainty
from friedel.core.observer import Note, Observer, Warned

MAX_PHASE_ERROR_RAD = 0.3
"""Above it the displacement is uncertain by more than a twentieth of the lattice spacing, and two neighbours' phases
differ by chance so much that three standard errors reach half a turn, where strain becomes ambiguous."""
UNEXPLAINED = 1.1
"""Misfit above which the fit leaves more than photon noise; simulated fits at the photon limit reach 1.06."""


def with_error_bars(quality: Quality, uncertainty: Uncertainty, observer: Observer) -> Quality:
    """Return the quality with the error bars' figure, check and reason.

    Parameters
    ----------
    quality : Quality
        With the verdict of the other checks.
    uncertainty : Uncertainty
        The error bars.
    observer : Observer
        Told the figure, or warned where it is large.
    """
    error = uncertainty.phase_rms_rad
    small = error <= MAX_PHASE_ERROR_RAD
    parts = f"photons {uncertainty.photons_rad:.2g}, {uncertainty.n_solutions} other solutions that fit "
    text = (
        f"the phase is known to {error:.2g} rad, rms over the crystal ({parts}{uncertainty.solutions_rad:.2g}; "
        f"above {MAX_PHASE_ERROR_RAD} no image is trusted)"
    )
    if uncertainty.misfit > UNEXPLAINED:
        text += (
            f"; the fit leaves {uncertainty.misfit:.2f} × what photon noise does, so that part of the error is an "
            "estimate from what is unexplained"
        )
    told = (Note if small else Warned)("error bars", text)
    observer(told)
    return replace(
        quality,
        phase_error_rad=error,
        trusted=quality.trusted and small,
        reasons=(*quality.reasons, f"error bars: {text}"),
    )
