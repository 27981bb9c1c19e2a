"""How much light each frame had, and whether the beam was steady along the scan, as far as a solution tells."""

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.records import Diffraction

# Photons of a frame below which it tells nothing, and frames needed.
LEAST_COUNTS, LEAST_FRAMES = 100.0, 12
# What frames differ from any model by, beside their photon noise: of good solutions 0.01 to 0.02.
MODEL_ERROR = 0.02
# Drift of data over model from end to end, and of its standard errors, beyond those of good solutions: of five
# simulated ones at most 0.008 and 0.7, of a measured scan 0.03. Beams that fell by a fifth, two fifths (twice) and a
# half left 0.05, 0.07, 0.04, 0.10 and 9, 3.9, 2.4, 8.5: one of them passes, so that right solutions do.
LEAST_DRIFT, LEAST_SIGMAS = 0.045, 3.0
# Correlation of what the brighter and the dimmer half of each frame's photons tell of its light, and the spread of it
# that is worth fitting: that of a good model's error. So many photons as tell a half's light to that take part.
_TOLD_ALIKE, _WORTH = 0.8, MODEL_ERROR
_TELLING = 1.0 / _WORTH**2
# Scatters (of a median, as of a standard deviation) beyond which a frame differs by more than its light: an alien's.
_ODD, _OF_MEDIAN = 5.0, 1.4826


def frame_light(
    model: NDArray[np.float32], counts: NDArray[np.float32], fitted: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Return how much light each frame had beside a steady beam's.

    Light scales all voxels of a frame alike, and what a model misses doesn't: the brighter and the dimmer half of each
    frame's photons must tell the same. What a blur from frame to frame would do to both is left out, and so is a steady
    rise or fall, because an object takes most of that in (`steady_beam` sees the rest).

    Parameters
    ----------
    model : (z, y, x) float32
        The solution's intensities, of any scale; frames along z.
    counts : (z, y, x) float32
        Photons.
    fitted : (z, y, x) bool
        Voxels to go by.

    Returns
    -------
    (z,) float64 or None
        About 1; 1 where a frame has too few photons to tell. None where frames don't tell, or none differs.
    """
    n = len(model)
    inside, counted = (np.where(fitted, one, 0).reshape(n, -1).astype(np.float64) for one in (model, counts))
    ranked = np.sort(inside, axis=1)
    half = (np.cumsum(ranked, axis=1) < 0.5 * ranked.sum(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    bright = inside >= np.take_along_axis(ranked, half, axis=1)
    curved = np.zeros_like(inside)
    curved[1:-1] = np.diff(inside, 2, axis=0)
    seen, expected, blurred = (
        np.stack([(one * part).sum(axis=1) for part in (bright, ~bright)]) for one in (counted, inside, curved)
    )
    some = (seen > _TELLING).all(axis=0) & (expected > 0).all(axis=0)
    if some.sum() < LEAST_FRAMES:
        return None
    told, curves = np.log(seen[:, some] / expected[:, some]), blurred[:, some] / expected[:, some]
    told = np.stack([_without(row, curve) for row, curve in zip(told, curves, strict=True)])
    weight = seen[:, some].min(axis=0)
    about = told - np.average(told, axis=1, weights=weight)[:, None]
    power = (weight * about**2).sum(axis=1)
    alike = float((weight * about[0] * about[1]).sum() / np.sqrt(max(power.prod(), 1e-30)))
    # The less that either half tells, and nothing where they contradict each other or something else is there.
    agreed = (told.prod(axis=0) > 0) & np.all([_usual(row) for row in told], axis=0)
    common = np.where(agreed, np.sign(told[0]) * np.abs(told).min(axis=0), 0.0)
    if alike < _TOLD_ALIKE or (weight * common**2).sum() < _WORTH**2 * weight.sum():
        return None
    light = np.ones(n)
    light[some] = np.exp(common)
    return light


def _without(values: NDArray[np.float64], blur: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values ``(n,)`` of frames less what a steady rise or fall, and a blur from frame to frame, makes of them.

    Every usual frame counts alike: the few that hold most photons would tilt the others.
    """
    design = np.stack([np.ones_like(blur), np.linspace(-1, 1, len(blur)), blur], axis=1)
    rest, usual = values, np.ones(len(values), dtype=bool)
    for _ in range(3):
        rest = values - design @ np.linalg.lstsq(design[usual], values[usual], rcond=None)[0]
        usual = _usual(rest)
    return np.asarray(rest)


def _usual(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    size = np.abs(values)
    return np.asarray(size <= _ODD * _OF_MEDIAN * np.median(size))


def beam_drift(model: NDArray[np.float32], diffraction: Diffraction) -> tuple[float, float]:
    """Return how much data over model changes from the first frame to the last, logarithmic, and its standard error.

    Parameters
    ----------
    model : (z, y, x) float32
        The solution's intensities, of any scale.
    diffraction : Diffraction
        The measurement.

    Returns
    -------
    drift, error : float
        0 and infinity where too few frames have counts.
    """
    counted = np.where(diffraction.mask, diffraction.intensities, 0).sum(axis=(1, 2), dtype=np.float64)
    expected = np.where(diffraction.mask, model, 0).sum(axis=(1, 2), dtype=np.float64)
    some = (counted > LEAST_COUNTS) & (expected > 0)
    if some.sum() < LEAST_FRAMES:
        return 0.0, float("inf")
    ratio = np.log(counted[some] / expected[some])
    place = np.flatnonzero(some) / (len(counted) - 1)
    weight = 1 / (1 / counted[some] + MODEL_ERROR**2)
    ratio, place = (values - np.average(values, weights=weight) for values in (ratio, place))
    drift = float((weight * place * ratio).sum() / (weight * place**2).sum())
    rest = (weight * (ratio - drift * place) ** 2).sum() / (some.sum() - 2)
    return drift, float(np.sqrt(max(rest, 1.0) / (weight * place**2).sum()))


def steady_beam(model: NDArray[np.float32], diffraction: Diffraction) -> tuple[bool, str]:
    """Return the check that the beam was steady: whether it passed, and a sentence that begins with its name."""
    drift, error = beam_drift(model, diffraction)
    said = f"beam: data over model change by a factor {np.exp(drift):.2f} from the first frame to the last"
    limit = f"(beyond {LEAST_DRIFT:.1%} and {LEAST_SIGMAS:g} standard errors the beam wasn't steady; use a monitor)"
    return abs(drift) < max(LEAST_DRIFT, LEAST_SIGMAS * error), f"{said} {limit}"
