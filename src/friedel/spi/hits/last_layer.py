"""Fit a shipped model to a new experiment from a few labels: only its last, linear layer is learnt anew.

The shipped layer is the mean of the prior, so that without labels it stays. The result is again a linear layer on the
same features, so the adapted model is used like any other. Reads and writes no files.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import RepeatedStratifiedKFold
from torch import nn

from friedel.core.errors import InputError, WeightsError
from friedel.core.options import Options
from friedel.spi.hits.probability.calibration import Temperature

Floats = NDArray[np.float64]
FEWEST = 2  # labels of each class: one to fit with, one to cross-validate by
_TEMPERATURES = (1.0, 5.0)  # bounds: few labels can show overconfidence, but hardly the opposite


class AdaptOptions(Options):
    """How strongly a few labels may change a shipped model."""

    strengths: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 300.0)
    """Strengths of the prior to choose from by cross-validation: large ones keep the shipped weights."""
    scale_spread: float = Field(default=1.0, gt=0.0)
    """Standard deviation, about 1, within which the shipped decision may be stretched or shrunk."""
    bias_spread: float = Field(default=3.0, gt=0.0)
    """Standard deviation of the shift of the log odds."""
    folds: int = Field(default=5, ge=2)
    """Parts into which the labels are cut for cross-validation."""
    repeats: int = Field(default=3, ge=1)
    """How often they are cut anew."""
    seed: int = Field(default=0, ge=0)
    """Seed of the cuts."""


@dataclass(frozen=True, eq=False)
class Head:
    """The last step of a classifier: logit = features · weights + bias.

    Attributes
    ----------
    weights : (d,) float64
        Log odds per unit of each feature.
    bias : float
        Log odds where all features are zero.
    """

    weights: Floats
    bias: float

    def logits(self, features: ArrayLike) -> Floats:
        """Return the log odds of "single" of features ``(n, d)``, ``(n,)``."""
        return np.asarray(np.asarray(features, dtype=np.float64) @ self.weights + self.bias)

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """Return the head of a network whose last layer, ``scores``, is linear with two outputs.

        Raises
        ------
        WeightsError
            If it has no such layer.
        """
        layer = _last_layer(network)
        weights, biases = (values.detach().double().cpu().numpy() for values in (layer.weight, layer.bias))
        return cls(weights[1] - weights[0], float(biases[1] - biases[0]))

    def put_into(self, network: nn.Module) -> None:
        """Make this the head of a network, in place: the score of "other" becomes 0, that of "single" the logit."""
        layer = _last_layer(network)
        with torch.no_grad():
            layer.weight.zero_()[1] = torch.from_numpy(self.weights).to(layer.weight)
            layer.bias.zero_()[1] = self.bias


@dataclass(frozen=True, eq=False, kw_only=True)
class Adapted:
    """An adapted head, and what is known about it.

    Attributes
    ----------
    head : Head
        The new last step.
    strength : float
        Of the prior, as chosen.
    temperature : float
        By which its logits are to be divided, from labels not used in the fit; at least 1, since labels are few.
    accuracy : float
        On labels not used in the fit, both classes weighing alike.
    shipped_accuracy : float
        Of the shipped head on all the labels, likewise.
    """

    head: Head
    strength: float
    temperature: float
    accuracy: float
    shipped_accuracy: float


def adapt_head(
    features: ArrayLike,
    labels: ArrayLike,
    shipped: Head,
    *,
    run: ArrayLike | None = None,
    options: AdaptOptions | None = None,
) -> Adapted:
    """Return the head that labels and prior agree on.

    The log odds are s·l + v·z + b, with l the shipped logit and z the standardised features; the prior has s about 1,
    v and b about 0. That is the maximum a posteriori of a logistic regression. Both classes weigh alike, however many
    labels each has.

    Parameters
    ----------
    features : (n, d) float
        The model's features of the labelled frames.
    labels : (n,) bool or 0/1
        True for single hits.
    shipped : Head
        The model's own last step.
    run : (m, d) float, optional
        Features of more frames of the run, by which features are standardised; those labelled, if not given.
    options : AdaptOptions, optional
        How.

    Raises
    ------
    InputError
        If a class has fewer than two labels, or arrays don't match.
    """
    chosen = options or AdaptOptions()
    values, truth = _checked(features, labels, shipped)
    reference = values if run is None else np.asarray(run, dtype=np.float64)
    scaling = _Scaling.of(reference)
    problem = _Problem(shipped.logits(values), scaling(values), truth, chosen)
    strength, held = _best_strength(problem, chosen)
    fitted = problem.fit(strength)
    low, high = _TEMPERATURES
    return Adapted(
        head=_as_head(fitted, shipped, scaling),
        strength=strength,
        temperature=float(np.clip(Temperature.fit(held, truth).temperature, low, high)),
        accuracy=_balanced(held, truth),
        shipped_accuracy=_balanced(problem.shipped, truth),
    )


def _checked(features: ArrayLike, labels: ArrayLike, shipped: Head) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(features, dtype=np.float64), np.asarray(labels).astype(bool)
    if values.ndim != 2 or values.shape[1] != len(shipped.weights) or truth.shape != values.shape[:1]:
        raise InputError(
            f"features {values.shape} and labels {truth.shape} don't fit a model of {len(shipped.weights)} features"
        )
    n_single = int(truth.sum())
    if min(n_single, truth.size - n_single) < FEWEST:
        raise InputError(
            f"{n_single} labels are single and {truth.size - n_single} are not; adapting needs at least {FEWEST} of "
            "each, and 20 to be worth it: label more frames"
        )
    if not np.isfinite(values).all():
        raise InputError("features hold values that aren't finite; label frames that have a score")
    return values, truth


@dataclass(frozen=True, eq=False)
class _Scaling:
    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, features: Floats) -> Self:
        deviation = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(deviation > 1e-9, deviation, np.inf))

    def __call__(self, features: Floats) -> Floats:
        return np.asarray((features - self.mean) / self.deviation)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The penalised likelihood; parameters are (s, b, v)."""

    shipped: Floats
    features: Floats
    truth: NDArray[np.bool_]
    options: AdaptOptions

    def part(self, rows: NDArray[np.intp]) -> "_Problem":
        return replace(self, shipped=self.shipped[rows], features=self.features[rows], truth=self.truth[rows])

    def logits(self, parameters: Floats) -> Floats:
        return np.asarray(parameters[0] * self.shipped + parameters[1] + self.features @ parameters[2:])

    def fit(self, strength: float) -> Floats:
        n = self.truth.size
        # As if there were n/2 of each class.
        weights = np.where(self.truth, n / (2 * self.truth.sum()), n / (2 * (~self.truth).sum()))
        precision = np.full(self.features.shape[1] + 2, strength)
        precision[:2] = self.options.scale_spread**-2, self.options.bias_spread**-2
        centre = np.zeros_like(precision)
        centre[0] = 1.0
        columns = np.column_stack([self.shipped, np.ones(n), self.features])

        def loss(parameters: Floats) -> tuple[float, Floats]:
            logits, away = columns @ parameters, parameters - centre
            value = weights @ np.logaddexp(0, np.where(self.truth, -logits, logits)) + 0.5 * precision @ away**2
            return float(value), columns.T @ (weights * (expit(logits) - self.truth)) + precision * away

        return np.asarray(minimize(loss, centre, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x)


def _best_strength(problem: _Problem, options: AdaptOptions) -> tuple[float, Floats]:
    """Return the strength of least cross-validated loss, and the mean logits of each frame when it was left out."""
    truth = problem.truth
    folds = min(options.folds, int(truth.sum()), int((~truth).sum()))
    cuts = RepeatedStratifiedKFold(n_splits=folds, n_repeats=options.repeats, random_state=options.seed)
    splits = list(cuts.split(problem.features, truth))
    best: tuple[float, float, Floats] | None = None
    # From the strongest prior down: of equally good ones the most cautious wins.
    for strength in sorted(options.strengths, reverse=True):
        held = np.zeros(truth.size)
        for kept, left in splits:
            held[left] += problem.part(left).logits(problem.part(kept).fit(strength)) / options.repeats
        loss = _balanced_loss(held, truth)
        if best is None or loss < best[0]:
            best = loss, strength, held
    if best is None:
        raise InputError("no strengths to choose from; give at least one")
    return best[1], best[2]


def _balanced_loss(logits: Floats, truth: NDArray[np.bool_]) -> float:
    losses = np.logaddexp(0, np.where(truth, -logits, logits))
    return float(losses[truth].mean() + losses[~truth].mean()) / 2


def _balanced(logits: Floats, truth: NDArray[np.bool_]) -> float:
    return float(np.mean(logits[truth] > 0) + np.mean(logits[~truth] <= 0)) / 2


def _as_head(parameters: Floats, shipped: Head, scaling: _Scaling) -> Head:
    scale, bias, direction = parameters[0], parameters[1], parameters[2:] / scaling.deviation
    return Head(scale * shipped.weights + direction, float(scale * shipped.bias + bias - direction @ scaling.mean))


def _last_layer(network: nn.Module) -> nn.Linear:
    layer = getattr(network, "scores", None)
    if not isinstance(layer, nn.Linear) or layer.out_features != 2:
        raise WeightsError(
            f"{type(network).__name__} has no linear last layer 'scores' with two outputs, so it can't be adapted"
        )
    return layer
