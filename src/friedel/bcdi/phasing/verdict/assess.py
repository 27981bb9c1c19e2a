"""The quality of a solution: agreement between independent starts, held-out voxels, resolution, and a verdict."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.phasing.candidate import Candidate
from friedel.bcdi.phasing.iterations.likelihood import chi
from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.phasing.support_choice import PHOTON_LIMITED
from friedel.bcdi.phasing.verdict.beam import steady_beam
from friedel.bcdi.phasing.verdict.goodness import goodness
from friedel.bcdi.phasing.verdict.modes import modes
from friedel.bcdi.phasing.verdict.one_state import one_state
from friedel.bcdi.phasing.verdict.plausible import amplitude_uniformity, count_fringes, largest_piece
from friedel.bcdi.phasing.verdict.resolution import Shells, fsc, period, prtf, shells
from friedel.bcdi.records import Curve, Diffraction, Quality
from friedel.core.fourier import fourier, fourier_corner, to_centre
from friedel.core.machine.device import generator

Object = NDArray[np.complex64]

# The limits of the verdict. Measured: over twelve simulated crystals in 32³, noise-free objects and Poisson patterns.
# χ of the true object, from photon noise alone: 0.22 at 1e5 photons (largest 0.26), 0.10 at 1e6, 0.03 at 1e7.
MAX_CHI = 0.25
# Of the box: at a half there are as many measured numbers as unknown ones (Miao, Sayre & Chapman 1998).
MAX_FILLING = 0.5
MIN_VOXELS = 64  # 4³: fewer resolve nothing
# Correlation of independent starts. A choice: higher asks for the same detail in all, lower for the same outline.
MIN_AGREEMENT = 0.95
# Voxels. Crystals have 5 to some 30 at 1e5 photons, 200 and more at 1e6; blobs and flat noise none.
MIN_FRINGES = 5
# Crystals reach 0.93 at least (median 0.95); with half the amplitude on one side they fall to 0.48 to 0.54.
MIN_UNIFORMITY = 0.7
# Least uniformity of an object refined from one of uniform density: only the photons made it less uniform, so a smaller
# loss already tells.
MIN_UNIFORMITY_FREED = 0.8
# Least uniformity where the model and not photons limits the fit. With a second grain of 3 to 15 % of the photons
# images more than 0.2 rad off had 0.46 to 0.77, one 0.13 rad off 0.81; other imperfections leave 0.86 and more.
MIN_UNIFORMITY_UNEXPLAINED = 0.8
MIN_PIECE = 0.9  # of the density: two equal crystals have half each; noise leaves single voxels beside one
# Where photons limit the fit, solutions with stripes of 0.05 to 0.2 rad had 1.2 to 1.7 times the deviance that noise
# gives, those without at most 1.1. Beyond this, solutions of independent starts must agree in phase to be believed.
MAX_FACTOR = 1.2
MAX_SPREAD_RAD = 0.1  # of the phase between them: within such stripes
# Two solutions are one when they correlate at least this well after alignment.
AGREE = 0.9
_HALF_STEPS = 20  # of the refinement on each half of the photons, which begins from the whole pattern's solution


@dataclass(frozen=True, eq=False)
class Finalists:
    """The kept starts as they ended, best first.

    Attributes
    ----------
    candidates : tuple of Candidate
        Refined, ranked by their held-out deviance.
    objects : tuple of (z, y, x) complex64
        Their objects, aligned to the first.
    correlations : tuple of float
        With the first.
    merged : Candidate or None
        The mean of the agreeing ones, polished, if it predicts held-out voxels better than any of them.
    free : Candidate or None
        The best, refined without the prior of uniform density, where the others were refined with it.
    """

    candidates: tuple[Candidate, ...]
    objects: tuple[Object, ...]
    correlations: tuple[float, ...]
    merged: Candidate | None = None
    free: Candidate | None = None

    @property
    def best(self) -> Candidate:
        """The one that becomes the result."""
        return self.merged or self.candidates[0]

    @property
    def agreeing(self) -> list[Object]:
        """The objects that agree with the best one (`AGREE`), itself first."""
        return [obj for obj, value in zip(self.objects, self.correlations, strict=True) if value >= AGREE]

    @property
    def mean(self) -> Object:
        """The mean of these."""
        mean: Object = np.mean(self.agreeing, axis=0).astype(np.complex64)
        return mean

    @property
    def n_agreeing(self) -> int:
        """Their number."""
        return len(self.agreeing)

    @property
    def agreement(self) -> float:
        """Median correlation of the agreeing ones with the best; 0 where it stands alone."""
        others = [value for value in self.correlations[1:] if value >= AGREE]
        return float(np.median(others)) if others else 0.0

    @property
    def support(self) -> NDArray[np.bool_]:
        """The best one's support."""
        support: NDArray[np.bool_] = self.best.support.cpu().numpy()
        return support


def assess(
    finalists: Finalists,
    best: Object,
    measured: Measured,
    diffraction: Diffraction,
    *,
    threshold: float,
    n_starts: int,
    reasons: tuple[str, ...],
) -> Quality:
    """Collect the quality figures and the verdict.

    Parameters
    ----------
    finalists : Finalists
        The kept starts.
    best : (z, y, x) complex64
        The final object, in the frame of the finalists.
    measured : Measured
        The measurement with its held-out voxels.
    diffraction : Diffraction
        The whole measurement.
    threshold : float
        The support's threshold.
    n_starts : int
        Random starts made in all.
    reasons : tuple of str
        Reasons of earlier choices.
    """
    agreeing, support = finalists.agreeing, finalists.support
    over = shells(measured.shape, diffraction.grid)
    first, second = _prtf(agreeing, diffraction, over), _fsc(finalists, measured, diffraction, over)
    spread = [phase_difference_rad(obj, agreeing[0], _crystal(agreeing[0])) for obj in agreeing[1:]]
    quality = Quality(
        chi=_chi(best, diffraction, measured),
        chi_free=_chi_free(finalists.best, measured),
        free_deviance=finalists.best.free_deviance if measured.held_out is not None else None,
        noise_factor=goodness(finalists.best.confined, int(support.sum()), measured).factor,
        support_voxels=int(support.sum()),
        support_fraction=float(support.mean()),
        support_threshold=threshold,
        n_starts=n_starts,
        n_agreeing=len(agreeing),
        agreement=finalists.agreement or None,
        phase_spread_rad=float(np.median(spread)) if spread else None,
        mode_fractions=modes(agreeing)[1],
        prtf=first,
        fsc=second,
        resolution_nm=_resolutions(agreeing, diffraction, over, {"prtf": first, "fsc": second}),
        trusted=False,
        reasons=reasons,
    )
    checks = [*_checks(quality, len(finalists.candidates)), *_of_one_crystal(best, finalists, diffraction, quality)]
    checks += [steady_beam(_intensity(best, measured).numpy(), diffraction), one_state(best, diffraction)]
    return replace(
        quality, trusted=all(passed for passed, _ in checks), reasons=(*reasons, *(why for _, why in checks))
    )


def _crystal(obj: Object) -> NDArray[np.bool_]:
    """Return where the amplitude is at least half the bulk's: the phase of weaker voxels is mostly noise."""
    density = np.abs(obj).astype(np.float64) ** 2
    inside: NDArray[np.bool_] = density >= 0.25 * (density**2).sum() / max(float(density.sum()), 1e-30)
    return inside


def _checks(quality: Quality, n_kept: int) -> list[tuple[bool, str]]:
    """Return each check of the verdict: whether it passed, and a sentence that begins with its name."""
    agreement = 0.0 if quality.agreement is None else quality.agreement
    said = f"{quality.n_agreeing} of the {n_kept} best of {quality.n_starts} starts reached this solution"
    if quality.agreement is not None:
        said += f", correlating at {quality.agreement:.3f} (at least {MIN_AGREEMENT} is wanted)"
    else:
        said += ": nothing to compare it with, so it may be one of several"
    return [
        (agreement >= MIN_AGREEMENT, f"agreement: {said}"),
        _limit(quality),
        (quality.chi <= MAX_CHI, f"fit: χ = {quality.chi:.3f} on measured voxels (above {MAX_CHI} is no fit)"),
        (
            quality.support_fraction <= MAX_FILLING,
            f"sampling: the support fills {quality.support_fraction:.1%} of the box (above {MAX_FILLING:.0%} the "
            "pattern is too coarsely sampled to be phased, or the support has failed)",
        ),
        (
            quality.support_voxels >= MIN_VOXELS,
            f"size: the support has {quality.support_voxels} voxels (below {MIN_VOXELS} nothing is resolved: the "
            "pattern shows no fringes)",
        ),
    ]


def _limit(quality: Quality) -> tuple[bool, str]:
    """Return the check that the fit is at the photon limit, or other solutions agree with it, as `_checks` does."""
    factor, spread = quality.noise_factor or 0.0, quality.phase_spread_rad
    said = f"limit: the fit is {factor:.2f} × what photon noise gives"
    if factor <= MAX_FACTOR:
        return True, f"{said}; nothing is left to be explained"
    if quality.free_deviance is None or quality.free_deviance >= PHOTON_LIMITED:
        return True, f"{said}: the model limits it, not photons, and a local minimum wouldn't show"
    apart = "no other" if spread is None else f"others within {spread:.2f} rad of it"
    told = f"{said} (above {MAX_FACTOR} it may be a local minimum unless others agree within {MAX_SPREAD_RAD} rad)"
    return spread is not None and spread <= MAX_SPREAD_RAD, f"{told}; {apart}"


def _of_one_crystal(
    best: Object, finalists: Finalists, diffraction: Diffraction, quality: Quality
) -> list[tuple[bool, str]]:
    """Return the checks that pattern and solution are those of one crystal, as `_checks` does.

    Parameters
    ----------
    best : (z, y, x) complex64
        The final object.
    finalists : Finalists
        The kept starts.
    diffraction : Diffraction
        The whole measurement.
    quality : Quality
        Its figures so far: a fit that photons don't limit must come to a more uniform crystal to be believed.
    """
    fringes, piece = count_fringes(diffraction), largest_piece(best, finalists.support)
    if finalists.free is None:
        even = amplitude_uniformity(best, finalists.support)
        unexplained = quality.free_deviance is not None and quality.free_deviance >= PHOTON_LIMITED
        least = MIN_UNIFORMITY_UNEXPLAINED if unexplained else MIN_UNIFORMITY
    else:
        even, least = (
            amplitude_uniformity(finalists.free.confined.cpu().numpy(), finalists.support),
            MIN_UNIFORMITY_FREED,
        )
    return [
        (
            fringes >= MIN_FRINGES,
            f"fringes: {fringes} voxels are darker than both their sides by more than noise (below {MIN_FRINGES} the "
            "pattern shows no fringes, and many objects would give it)",
        ),
        (
            not even < least,
            "amplitude uniformity: the support has no inside to tell it from"
            if np.isnan(even)
            else "amplitude uniformity: but for a tenth at either end, those inside are within a factor "
            f"{even:.2f} of the median (below {least} it is no single crystal: two may add up in the pattern, or the "
            "solution is wrong)",
        ),
        (
            piece >= MIN_PIECE,
            f"pieces: the largest holds {piece:.0%} of the density (below {MIN_PIECE:.0%} there are several crystals, "
            "or the support fell apart)",
        ),
    ]


def _intensity(best: Object, measured: Measured) -> torch.Tensor:
    """Return the object's intensities ``(z, y, x)``, the origin in the middle."""
    blur = None if measured.blur is None else measured.blur.cpu()
    return to_centre(intensity_of(fourier_corner(torch.from_numpy(best)), blur))


def _chi(best: Object, diffraction: Diffraction, measured: Measured) -> float:
    known = torch.from_numpy(diffraction.mask)
    amplitude = torch.from_numpy(diffraction.intensities).clamp_min(0.0).sqrt()
    return float(chi(_intensity(best, measured).sqrt() * known, torch.where(known, amplitude, 0.0)))


def _chi_free(candidate: Candidate, measured: Measured) -> float | None:
    if measured.held_out is None:
        return None
    modulus = intensity_of(fourier_corner(candidate.confined), measured.blur).sqrt()
    return float(chi(modulus * measured.held_out, measured.intensity.sqrt() * measured.held_out))


def _prtf(agreeing: list[Object], diffraction: Diffraction, over: Shells) -> Curve | None:
    return None if len(agreeing) < 2 else prtf(_diffractions(agreeing), *_amplitude(diffraction), over)


def _diffractions(objects: list[Object]) -> NDArray[np.complex64]:
    return np.stack([fourier(torch.from_numpy(obj)).numpy() for obj in objects])


def _amplitude(diffraction: Diffraction) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    known = diffraction.mask
    return np.sqrt(np.where(known, np.maximum(diffraction.intensities, 0.0), 0.0)).astype(np.float64), known


def _fsc(finalists: Finalists, measured: Measured, diffraction: Diffraction, over: Shells) -> Curve | None:
    """Refine two agreeing starts on independent halves of the photons and compare them."""
    chosen = [
        candidate
        for candidate, value in zip(finalists.candidates, finalists.correlations, strict=True)
        if value >= AGREE
    ][:2]
    if len(chosen) < 2:
        return None
    halves = [
        _refined_on(candidate, half) for candidate, half in zip(chosen, split_photons(measured, seed=0), strict=True)
    ]
    second, _ = align_to(halves[1], halves[0])
    transforms = _diffractions([halves[0], second])
    filling = float(finalists.support.mean())
    return fsc(transforms[0], transforms[1], diffraction.mask, over, filling=filling)


def _refined_on(candidate: Candidate, half: Measured) -> Object:
    options = RefineOptions(steps=_HALF_STEPS, early_stop=False)
    obj: Object = refine(candidate.confined, candidate.support, half, options).obj.cpu().numpy()
    return obj


def split_photons(measured: Measured, *, seed: int) -> tuple[Measured, Measured]:
    """Split a measurement into two independent halves: each photon goes to either with probability ½ (binomial)."""
    whole = measured.intensity.cpu().round()
    # The part of a corrected count below one photon goes half to each.
    rest = (measured.intensity.cpu() - whole) / 2
    heads = torch.binomial(whole, torch.full_like(whole, 0.5), generator=generator(seed))
    parts = [(half + rest).clamp_min(0.0).to(measured.intensity.device) for half in (heads, whole - heads)]
    first, second = (replace(measured, intensity=part, amplitude=part.sqrt() * measured.fitted) for part in parts)
    return first, second


def _resolutions(
    agreeing: list[Object], diffraction: Diffraction, over: Shells, overall: dict[str, Curve | None]
) -> dict[str, float] | None:
    """Return the full period at the criterion: overall by PRTF and FSC, and by PRTF along each axis."""
    unit = "" if diffraction.grid is not None else " voxels"
    found = {f"{name}{unit}": period(curve) for name, curve in overall.items() if curve is not None}
    if len(agreeing) > 1:
        transforms, (amplitude, known) = _diffractions(agreeing), _amplitude(diffraction)
        for axis, name in enumerate(over.axes):
            along = prtf(transforms, amplitude, known, over, axis=axis)
            found[f"prtf {name}{unit}"] = period(along)
    return {name: value for name, value in found.items() if np.isfinite(value)} or None
