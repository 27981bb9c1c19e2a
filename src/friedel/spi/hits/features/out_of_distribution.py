"""How far a frame's features lie from those of the training frames: a Mahalanobis distance, no decision."""

import torch
from torch import Tensor

from friedel.core.errors import InputError

MEAN, WHITENING = "feature_mean", "feature_whitening"
WIDE, DIRECTIONS = 256, 32
"""Features of more than 256 dimensions are looked at along 32 directions only."""
_PERCENTILE = 0.99  # of the training frames' distances, which becomes 1: one training frame in a hundred lies beyond
# Share of the mean variance added to each direction's: else directions in which training hardly varies would dominate.
_SHRINKAGE = 0.02


def fit_out_of_distribution(features: Tensor) -> dict[str, Tensor]:
    """Return what `out_of_distribution_score` needs, from a network's features of its training frames.

    Parameters
    ----------
    features : (n, d) float
        Descriptions of training frames, more of them than dimensions. Of more than 256 dimensions the 32 directions
        of greatest variance count: a whitening of 4096² numbers would outweigh the network.

    Returns
    -------
    dict
        ``feature_mean`` (d,) and ``feature_whitening`` (d, d or 32), float32, to keep beside the weights.

    Raises
    ------
    InputError
        If there are too few frames.

    References
    ----------
    Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples*, NeurIPS 2018: the Mahalanobis
    distance, here without classes.
    """
    if features.shape[1] > WIDE:
        return _fit_wide(features.double())
    if len(features) <= features.shape[1]:
        raise InputError(f"{len(features)} frames can't tell how {features.shape[1]} features vary; give more")
    values = features.double()
    mean = values.mean(0)
    spread, axes = torch.linalg.eigh(torch.cov((values - mean).T))
    whitening = axes / (spread.clamp_min(0) + _SHRINKAGE * spread.mean()).sqrt()
    limit = torch.linalg.vector_norm((values - mean) @ whitening, dim=1).quantile(_PERCENTILE)
    return {MEAN: mean.float(), WHITENING: (whitening / limit).float()}


def _fit_wide(values: Tensor) -> dict[str, Tensor]:
    mean = values.mean(0)
    axes = torch.linalg.svd(values - mean, full_matrices=False).Vh[:DIRECTIONS].T
    within = fit_out_of_distribution((values - mean) @ axes)
    return {MEAN: mean.float(), WHITENING: axes.float() @ within[WHITENING]}


def out_of_distribution_score(features: Tensor, statistics: dict[str, Tensor]) -> Tensor:
    """Return frames' distance from training, ``(n,)``: 1 at the training frames' 99th percentile; 0 without a fit."""
    if MEAN not in statistics:
        return torch.zeros(len(features))
    mean, whitening = (statistics[name].to(features) for name in (MEAN, WHITENING))
    return torch.linalg.vector_norm((features - mean) @ whitening, dim=1)
