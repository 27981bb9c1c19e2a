"""The course of the learning rate over a training. A pure function of the step: nothing to save, nothing to resume."""

import math

from friedel.training.options import LearningOptions

_START = 0.04


def learning_rate_factor(step: int, steps: int, options: LearningOptions) -> float:
    """Return the learning rate at ``step`` of ``steps``, in units of the highest.

    One-cycle: from 4 % up along half a cosine for `warm_up` of the steps, then down along another to (almost) zero;
    after L. N. Smith, "A disciplined approach to neural network hyper-parameters", arXiv:1803.09820. Cosine: down only.
    """
    rising = options.warm_up * steps if options.schedule == "one-cycle" else 0.0
    if step < rising:
        return _START + (1 - _START) * _half_cosine(step / rising)
    return 1 - _half_cosine(min((step - rising) / max(steps - rising, 1.0), 1.0))


def _half_cosine(part: float) -> float:
    return (1 - math.cos(math.pi * part)) / 2
