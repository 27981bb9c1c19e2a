"""How unlike anything seen in training a frame is: the distance of its features from those of the training frames.

Here the yardstick is made, from training features; `friedel.hits.model` measures by it.
"""

import torch
from torch import Tensor

from friedel.base.errors import InputError

_DIRECTIONS = 32
_PERCENTILE = 0.99
# Directions in which training hardly varies would make every frame strange.
_FLOOR = 1e-3


def feature_yardstick(features: Tensor, *, directions: int = _DIRECTIONS) -> dict[str, Tensor]:
    """Return mean and whitening of training features.

    The distance |(f − mean) · whitening| is Mahalanobis's along the directions of greatest variance, and 1 at the
    training frames' 99th percentile.

    Parameters
    ----------
    features : (n, d) float
        The network's description of training frames.
    directions : int
        Principal directions at most; fewer where d or n allow no more.

    Returns
    -------
    mapping of str to Tensor
        "feature_mean" ``(d,)`` and "feature_whitening" ``(d, directions)``, float32.

    Raises
    ------
    InputError
        If there are fewer than two frames, or all are alike.

    References
    ----------
    Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples", NeurIPS 2018.
    """
    if features.ndim != 2 or len(features) < 2:
        raise InputError(f"a yardstick needs features (n, d) of at least two frames, got {tuple(features.shape)}")
    values = features.double()
    mean = values.mean(dim=0)
    _, singular, directed = torch.linalg.svd(values - mean, full_matrices=False)
    spread = singular / (len(values) - 1) ** 0.5
    if not spread[0] > 0:
        raise InputError(f"all {len(values)} frames have the same features: nothing was learnt from them")
    kept = spread > _FLOOR * spread[0]
    kept[directions:] = False
    whitening = directed[kept].T / spread[kept]
    distances = torch.linalg.vector_norm((values - mean) @ whitening, dim=1)
    whitening = whitening / torch.quantile(distances, _PERCENTILE)
    return {"feature_mean": mean.float(), "feature_whitening": whitening.float()}
