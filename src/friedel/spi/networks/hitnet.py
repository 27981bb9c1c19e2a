"""The default classifier of single hits: a small residual network on 64² images, for two cores and no GPU."""

import copy
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from friedel.core.errors import PlanError

_MIDDLE = 16  # pixels along the edge of the second map, of images of 64


class HitNet(nn.Module):
    """Classify frames from their spectrum and pattern.

    Three strided convolutions bring 64² down to 8²; one residual pair follows the second, ``depth`` pairs the third.
    Means and maxima over the last map are the features, so that a side lobe counts the same at any place; with
    ``placed`` each place of the second map has an offset of its own, so that the network knows how far out a lobe lies.
    Offsets, and pairs beyond the first at the coarsest scale, begin as nothing: weights of a shallower network can be
    started from.

    Parameters
    ----------
    channels : int
        Images per frame.
    width : int
        Channels after the first convolution; the second has 2, the third 4 times as many.
    depth : int
        Residual pairs at the coarsest scale.
    placed : bool
        Learn an offset for each place of the second map.
    dropout : float in [0, 1)
        Fraction of the features that training drops before the last layer.

    Raises
    ------
    PlanError
        If one of them is out of range.
    """

    def __init__(
        self, channels: int = 4, width: int = 16, *, depth: int = 1, placed: bool = False, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if channels < 1 or width < 1 or depth < 1 or not 0 <= dropout < 1:
            raise PlanError(
                "HitNet needs channels, width and depth of at least 1 and dropout from 0 to below 1, "
                f"got {channels}, {width}, {depth}, {dropout}"
            )
        self.body = nn.Sequential(
            _halved(channels, width),
            _halved(width, 2 * width),
            _Pair(2 * width, placed=placed),
            _halved(2 * width, 4 * width),
            *(_Pair(4 * width, silent=k > 0) for k in range(depth)),
        )
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Linear(8 * width, 2)

    def features(self, images: Tensor) -> Tensor:
        """Describe frames ``(b, channels, 64, 64)`` by ``(b, 8 width)`` numbers."""
        seen = self.body(images)
        return torch.cat([seen.mean((-2, -1)), seen.amax((-2, -1))], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Score frames ``(b, channels, 64, 64)``: ``(b, 2)``, unnormalised; index 1 is "single hit"."""
        return self.scores(self.dropout(self.features(images)))

    def quick_features(self, images: Tensor) -> Tensor:
        """Describe frames as `features` does, in bfloat16 on the processor, by fewer steps; only of a `folded` network.

        Parameters
        ----------
        images : (b, channels, 64, 64) bfloat16
            Channels last.
        """
        for block in self.body:
            images = block.quick(images) if isinstance(block, _Pair) else _rectified(next(block.children()), images)
        return torch.cat([images.mean((-2, -1)), images.amax((-2, -1))], dim=1)

    def folded(self) -> Self:
        """Return a copy for scoring: each normalisation is part of the convolution before it, same but for rounding."""
        quick = copy.deepcopy(self).eval()
        for block in list(quick.modules()):
            for (name, convolution), (norm_name, norm) in pairwise(list(block.named_children())):
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    setattr(block, name, fuse_conv_bn_eval(convolution, norm))
                    setattr(block, norm_name, nn.Identity())
        return quick


class _Pair(nn.Module):
    """Two convolutions whose result is added to what came in, of 16² places if ``placed``; ``silent`` adds 0 at first.

    References
    ----------
    Goyal et al., arXiv:1706.02677: the last normalisation's scale begins at zero.
    """

    def __init__(self, channels: int, *, placed: bool = False, silent: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.offsets = nn.Parameter(torch.zeros(channels, _MIDDLE, _MIDDLE)) if placed else None
        if silent:
            nn.init.zeros_(self.second_norm.weight)

    def forward(self, images: Tensor) -> Tensor:
        if self.offsets is not None:
            images = images + self.offsets.to(images.dtype)
        inner = functional.relu(self.first_norm(self.first(images)))
        return functional.relu(images + self.second_norm(self.second(inner)))

    def quick(self, images: Tensor) -> Tensor:
        """Do the same in bfloat16, once normalisations are folded."""
        if self.offsets is not None:
            offsets = self.offsets.to(images.dtype)[None].contiguous(memory_format=torch.channels_last)
            images = images + offsets
        return _rectified(self.second, _rectified(self.first, images), added=images)


def fuses_layers() -> bool:
    """Say whether this torch knows convolutions that add and rectify in the same pass."""
    return hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def _rectified(layer: nn.Module, images: Tensor, *, added: Tensor | None = None) -> Tensor:
    """Return max(layer(images) + added, 0) in the images' type, in one pass over them."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    parameters = (layer.weight.to(images.dtype), layer.bias.to(images.dtype))
    geometry = (layer.padding, layer.stride, layer.dilation, layer.groups)
    fused = torch.ops.mkldnn._convolution_pointwise
    if added is None:
        found: Tensor = fused(images, *parameters, *geometry, "relu", [], "")
    else:
        found = fused.binary(images, added, *parameters, *geometry, "add", 1.0, "relu", [], "")
    return found


def _halved(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())
