"""How good a selection is where single hits are rare: precision, recall, F1 and PR-AUC at a stated hit rate.

Accuracy misleads there: at 1 % single hits "never" is 99 % right. Scores come from labelled frames of any mixture; the
rate is set by weights, and the uncertainty by a bootstrap over frames.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from friedel.core.errors import InputError, PlanError
from friedel.core.statistics import Interval

Floats = NDArray[np.float64]
FIGURES = ("precision", "recall", "f1", "pr_auc")


def selection_figures(scores: ArrayLike, labels: ArrayLike, *, rate: float, threshold: float = 0.5) -> dict[str, float]:
    """Return precision, recall, F1 and PR-AUC as they would be in a run with the given share of single hits.

    Parameters
    ----------
    scores : (n,) float
        Probability of a single hit.
    labels : (n,) bool or 0/1
        True for single hits; both classes must be there.
    rate : float
        Share of single hits in the run, between 0 and 1.
    threshold : float
        Frames with at least this score are selected.

    Returns
    -------
    dict
        By the names in `FIGURES`. A precision without any selected frame is 0. PR-AUC is the average precision:
        Σ (R_k − R_(k−1)) P_k over falling thresholds.

    Raises
    ------
    InputError
        If the arrays don't match or a class is missing.
    PlanError
        If the rate is not between 0 and 1.
    """
    values, truth = _checked(scores, labels, rate)
    weights = np.where(truth, rate / truth.sum(), (1 - rate) / (~truth).sum())
    chosen = values >= threshold
    right, wrong = float(weights[chosen & truth].sum()), float(weights[chosen & ~truth].sum())
    precision = right / (right + wrong) if right + wrong > 0 else 0.0
    recall = right / rate
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "pr_auc": _average_precision(values, truth, weights)}


def precision_recall(scores: ArrayLike, labels: ArrayLike, *, rate: float) -> tuple[Floats, Floats]:
    """Return precision and recall ``(k,)`` over falling thresholds; arguments and errors as `selection_figures`."""
    values, truth = _checked(scores, labels, rate)
    weights = np.where(truth, rate / truth.sum(), (1 - rate) / (~truth).sum())
    right, wrong = _cumulated(values, truth, weights)
    return right / (right + wrong), right / rate


def bootstrap(
    figures: Callable[[NDArray[np.intp]], Mapping[str, float]],
    labels: ArrayLike,
    *,
    repeats: int = 300,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return figures with 95 % confidence intervals, from frames drawn anew with replacement, class by class.

    Parameters
    ----------
    figures : function
        From row numbers (with repetitions) to figures by name.
    labels : (n,) bool or 0/1
        Whose classes keep their sizes.
    repeats : int
        Draws.
    seed : int
        Seed of the draws.

    References
    ----------
    Efron & Tibshirani, *An Introduction to the Bootstrap* (1993), chapter 13: percentile intervals.
    """
    truth = np.asarray(labels).astype(bool)
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(truth), np.flatnonzero(~truth)]
    whole = figures(np.arange(truth.size))
    drawn = [figures(np.concatenate([rng.choice(rows, rows.size) for rows in classes])) for _ in range(repeats)]
    found = {}
    for name, value in whole.items():
        low, high = np.percentile([each[name] for each in drawn], (2.5, 97.5)) if drawn else (value, value)
        found[name] = Interval(float(value), float(low), float(high))
    return found


def figures_at_rate(
    scores: ArrayLike, labels: ArrayLike, *, rate: float, threshold: float = 0.5, repeats: int = 300, seed: int = 0
) -> dict[str, Interval]:
    """Return `selection_figures` with 95 % confidence intervals by `bootstrap`.

    Parameters
    ----------
    scores, labels, rate, threshold
        As for `selection_figures`.
    repeats : int
        Samples of the bootstrap.
    seed : int
        Seed of the samples.
    """
    values, truth = _checked(scores, labels, rate)
    return bootstrap(
        lambda rows: selection_figures(values[rows], truth[rows], rate=rate, threshold=threshold),
        truth,
        repeats=repeats,
        seed=seed,
    )


def _cumulated(values: Floats, truth: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return the weight of right and of wrong frames down to each distinct score."""
    order = np.argsort(-values, kind="stable")
    right, wrong = (np.cumsum(np.where(kind[order], weights[order], 0.0)) for kind in (truth, ~truth))
    last = np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)
    return right[last], wrong[last]


def _average_precision(values: Floats, truth: NDArray[np.bool_], weights: Floats) -> float:
    right, wrong = _cumulated(values, truth, weights)
    steps = np.diff(right, prepend=0.0) / weights[truth].sum()
    return float(np.sum(steps * right / np.maximum(right + wrong, 1e-300)))


def _checked(scores: ArrayLike, labels: ArrayLike, rate: float) -> tuple[Floats, NDArray[np.bool_]]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise InputError(f"scores {values.shape} and labels {truth.shape} must both be (n,), one entry a frame")
    if truth.all() or not truth.any():
        raise InputError(f"{int(truth.sum())} of {truth.size} frames are labelled single: both classes are needed")
    if not 0 < rate < 1:
        raise PlanError(f"the share of single hits must lie between 0 and 1, got {rate!r}")
    return values, truth
