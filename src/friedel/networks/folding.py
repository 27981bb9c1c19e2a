"""Make a trained network quicker: normalisations by fixed statistics become part of the convolutions before them."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """Return a copy, in evaluation mode, that gives the same with fewer passes over its maps.

    Only what stands next to each other in a sequence is folded.
    """
    copied = copy.deepcopy(network).eval()
    for part in list(copied.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return copied


def _fold(layers: nn.Sequential) -> None:
    for k in range(len(layers) - 1):
        first, second = layers[k], layers[k + 1]
        if isinstance(first, nn.Conv3d) and isinstance(second, nn.BatchNorm3d):
            layers[k], layers[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
