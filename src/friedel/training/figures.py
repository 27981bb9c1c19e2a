"""How well a classifier does, from its logits and the labels: one set of figures, in training and in cards alike."""

import torch
from torch import Tensor

from friedel.training.libraries import metrics, torchmetrics


def counters() -> torchmetrics.MetricCollection:
    """Return fresh counters: accuracy, precision, recall and F1 at probability 0.5; area under precision-recall.

    They take probabilities of "single" and labels, both ``(n,)``, batch by batch, and add up over processes.
    """
    return torchmetrics.MetricCollection(
        {
            "accuracy": metrics.BinaryAccuracy(),
            "precision": metrics.BinaryPrecision(),
            "recall": metrics.BinaryRecall(),
            "f1": metrics.BinaryF1Score(),
            "pr_auc": metrics.BinaryAveragePrecision(),
        }
    )


def single_logit(scores: Tensor) -> Tensor:
    """Return the log odds of "single", ``(b,)`` float32, from a network's two scores ``(b, 2)``."""
    return (scores[:, 1] - scores[:, 0]).float()


def probability(logits: Tensor) -> Tensor:
    """Return the probability of each logit in float64: in float32 confident frames would tie at 1."""
    return torch.sigmoid(logits.double())


def measure(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the figures of logits ``(n,)`` against labels ``(n,)``, by name."""
    found = counters()(probability(logits), labels.long())
    return {name: float(value) for name, value in found.items()}
