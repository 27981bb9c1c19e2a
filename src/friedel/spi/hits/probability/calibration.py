"""From a network's score to a calibrated probability: of frames given p, a share p are single hits.

A calibration is fitted on frames the network was not trained on. It never changes the order of two frames (isotonic
steps may tie them), only their probabilities. It is a handful of plain numbers, and is kept in the model's card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.core.errors import InputError

Floats = NDArray[np.float64]
Numbers = Mapping[str, object]
_LOG_TEMPERATURES = (-5.0, 7.0)  # bounds of ln T in the fit: T from 0.007 to 1100, far beyond any network's


@runtime_checkable
class Calibration(Protocol):
    """What turns logits into probabilities, and can be written down as numbers."""

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the probability of each logit, in [0, 1]."""
        ...

    def numbers(self) -> dict[str, float | list[float]]:
        """Return the calibration as plain numbers, for a model card."""
        ...


@dataclass(frozen=True)
class Temperature:
    """Probabilities σ(logit / T).

    Attributes
    ----------
    temperature : float
        T, positive; above 1 the network was too sure of itself.

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017, equation 9 for two classes.
    """

    temperature: float
    KEY: ClassVar[str] = "temperature"

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not np.isfinite(self.temperature):
            raise InputError(f"a calibration's temperature must be positive and finite, got {self.temperature!r}")

    @classmethod
    def fit(cls, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Return the temperature of greatest likelihood.

        Parameters
        ----------
        logits : (n,) float
            Log odds of "single", as the network gives them.
        labels : (n,) bool or 0/1
            True where the frame is a single hit.

        Raises
        ------
        InputError
            If the arrays don't match, hold values that aren't finite, or one class only.
        """
        from scipy.optimize import minimize_scalar  # only fitting needs it, and applying must start quickly

        scores, truth = _checked(logits, labels)
        signed = np.where(truth, scores, -scores)

        def loss(log_temperature: float) -> float:
            return float(np.logaddexp(0.0, -signed / np.exp(log_temperature)).mean())

        best = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded", options={"xatol": 1e-6})
        return cls(float(np.exp(best.x)))

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return σ(logit / T)."""
        return np.asarray(0.5 + 0.5 * np.tanh(np.asarray(logits, dtype=np.float64) / (2 * self.temperature)))

    def numbers(self) -> dict[str, float | list[float]]:
        """Return ``{"temperature": T}``."""
        return {self.KEY: self.temperature}


@dataclass(frozen=True)
class Platt:
    """Probabilities σ(logit / T + b).

    Networks are trained on frames of which a part shows nothing that tells single from several. Those pull the logit
    of a clear case to one side, which a temperature alone leaves there.

    Attributes
    ----------
    temperature : float
        T, positive.
    bias : float
        b, log odds.

    References
    ----------
    Platt, *Probabilistic outputs for support vector machines*, 1999; for networks Guo et al., ICML 2017, section 4.2.
    """

    temperature: float
    bias: float
    KEY: ClassVar[str] = "bias"

    def __post_init__(self) -> None:
        if not np.isfinite(self.bias):
            raise InputError(f"a calibration's bias must be finite, got {self.bias!r}")
        Temperature(self.temperature)

    @classmethod
    def fit(cls, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Return temperature and bias of greatest likelihood; arguments and errors as `Temperature.fit`."""
        from scipy.optimize import minimize

        scores, truth = _checked(logits, labels)
        start = np.array([np.log(Temperature.fit(scores, truth).temperature), 0.0])

        def loss(values: Floats) -> float:
            # Weakly about a bias of zero: frames that a threshold parts without error leave it open.
            odds = scores / np.exp(values[0]) + values[1]
            return float(np.logaddexp(0.0, np.where(truth, -odds, odds)).mean() + 0.5 * values[1] ** 2 / scores.size)

        best = minimize(loss, start, method="L-BFGS-B", bounds=[_LOG_TEMPERATURES, (None, None)])
        return cls(float(np.exp(best.x[0])), float(best.x[1]))

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return σ(logit / T + b)."""
        odds = np.asarray(logits, dtype=np.float64) / self.temperature + self.bias
        return np.asarray(0.5 + 0.5 * np.tanh(odds / 2))

    def numbers(self) -> dict[str, float | list[float]]:
        """Return ``{"temperature": T, "bias": b}``."""
        return {Temperature.KEY: self.temperature, self.KEY: self.bias}


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Probabilities by a rising line through knots: follows any monotone miscalibration, needs hundreds of frames.

    Attributes
    ----------
    logits : (k,) float64
        Knots, rising; beyond the outermost the probability stays constant.
    probabilities : (k,) float64
        Probability at each knot, never falling.

    References
    ----------
    Zadrozny & Elkan, *Transforming classifier scores into accurate multiclass probability estimates*, KDD 2002.
    """

    logits: Floats
    probabilities: Floats
    KEY: ClassVar[str] = "isotonic_logits"
    VALUES: ClassVar[str] = "isotonic_probabilities"

    def __post_init__(self) -> None:
        fits = self.logits.ndim == 1 and self.logits.shape == self.probabilities.shape and self.logits.size > 0
        if not fits or np.any(np.diff(self.logits) < 0) or np.any(np.diff(self.probabilities) < 0):
            raise InputError(
                f"an isotonic calibration needs as many rising logits as rising probabilities, "
                f"got {self.logits.shape} and {self.probabilities.shape}"
            )

    @classmethod
    def fit(cls, logits: ArrayLike, labels: ArrayLike) -> Self:
        """Return the monotone calibration of least squared error; arguments and errors as `Temperature.fit`.

        Probabilities stay within 1/(n + 2) of 0 and 1: n frames can't prove certainty.
        """
        from sklearn.isotonic import IsotonicRegression  # loading it takes as long as scoring thousands of frames

        scores, truth = _checked(logits, labels)
        margin = 1.0 / (scores.size + 2)
        fitted = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip").fit(scores, truth)
        return cls(np.asarray(fitted.X_thresholds_, dtype=float), np.asarray(fitted.y_thresholds_, dtype=float))

    def __call__(self, logits: ArrayLike) -> Floats:
        """Return the probability, interpolated between the knots."""
        return np.asarray(np.interp(np.asarray(logits, dtype=np.float64), self.logits, self.probabilities))

    def numbers(self) -> dict[str, float | list[float]]:
        """Return the knots as two lists."""
        return {self.KEY: self.logits.tolist(), self.VALUES: self.probabilities.tolist()}


def calibration_from(numbers: Numbers) -> Calibration:
    """Return the calibration that `numbers` wrote; other entries of the mapping are ignored.

    Raises
    ------
    InputError
        If it holds no calibration, or a damaged one.
    """
    if Isotonic.KEY in numbers and Isotonic.VALUES in numbers:
        knots, values = (np.asarray(numbers[key], dtype=float) for key in (Isotonic.KEY, Isotonic.VALUES))
        return Isotonic(knots, values)
    temperature, bias = numbers.get(Temperature.KEY), numbers.get(Platt.KEY, 0.0)
    if isinstance(temperature, int | float) and isinstance(bias, int | float):
        return Platt(float(temperature), float(bias)) if bias else Temperature(float(temperature))
    raise InputError(
        f"no calibration among {sorted(numbers) or 'no entries'}; "
        f"expected {Temperature.KEY!r}, or {Isotonic.KEY!r} with {Isotonic.VALUES!r}"
    )


def log_odds(probabilities: ArrayLike) -> Floats:
    """Return ln(p / (1 − p)), with p kept within 1e-12 of 0 and 1 so that it stays finite."""
    kept = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise InputError(f"logits {scores.shape} and labels {truth.shape} must both be (n,), one entry a frame")
    if not np.isfinite(scores).all():
        raise InputError(f"{int((~np.isfinite(scores)).sum())} logits are not finite; leave frames without a score out")
    known = truth.astype(bool)
    if known.all() or not known.any():
        raise InputError(f"a calibration needs frames of both classes, got {int(known.sum())} single of {known.size}")
    return scores, known
