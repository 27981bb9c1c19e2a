"""The residual network of Li & Han: frames in, two scores out. Knows nothing of files, masks or training.

Y. Li and J. Han, "Convolutional Neural Network for Single Particle Imaging with X-FEL", after K. He et al., "Deep
Residual Learning for Image Recognition", CVPR 2016.
"""

from torch import Tensor, nn
from torch.nn import functional

from friedel.core.errors import PlanError

STEM_CHANNELS, FIRST_CHANNELS, SECOND_CHANNELS = 16, 32, 64  # as in the paper
# A frame's side is halved by the stem, by each of the two groups and by the average pool.
_SHRINKS_BY = 16


class ResNet(nn.Module):
    """Classify frames by 1 + 2n + 2m convolutions and one fully connected layer.

    For frames of 128²: a convolution to 64 × 64 × 16, 2n convolutions at 32 × 32 × 32, 2m convolutions at
    16 × 16 × 64, each followed by batch normalisation and ReLU, with an identity map over every two of them; a 2 × 2
    average pool; dropout; a fully connected layer. With n = m = 2 these are ten layers with weights, the paper's
    ResNet10. What the paper leaves open is taken from He et al.: 3 × 3 kernels, stride 2 where the side halves, and
    there an identity map without weights (every second pixel, new channels zero; their option A).

    Parameters
    ----------
    n, m : int, at least 1
        Pairs of convolutions in the first and in the second group.
    size : int
        Side of the square frames, pixels; a multiple of 16.
    channels : int
        Images per frame.
    dropout : float in [0, 1)
        Fraction of the pooled values that training drops before the last layer.

    Raises
    ------
    PlanError
        If one of them is out of range.
    """

    def __init__(self, n: int = 2, m: int = 2, *, size: int = 128, channels: int = 1, dropout: float = 0.5) -> None:
        super().__init__()
        _check(n, m, size, dropout)
        self.size = size
        self.stem = _convolution(channels, STEM_CHANNELS, stride=2)
        self.first = _group(STEM_CHANNELS, FIRST_CHANNELS, n)
        self.second = _group(FIRST_CHANNELS, SECOND_CHANNELS, m)
        self.pool = nn.AvgPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.scores = nn.Linear(SECOND_CHANNELS * (size // _SHRINKS_BY) ** 2, 2)

    def features(self, frames: Tensor) -> Tensor:
        """Describe frames ``(b, channels, size, size)`` by the pooled values, ``(b, size² / 4)``."""
        return self.pool(self.second(self.first(self.stem(frames)))).flatten(1)

    def forward(self, frames: Tensor) -> Tensor:
        """Score frames ``(b, channels, size, size)``: ``(b, 2)``, unnormalised; index 1 is "single hit"."""
        return self.scores(self.dropout(self.features(frames)))


class ResidualPair(nn.Module):
    """Two convolutions whose result is added to what came in.

    Where channels or side change, the identity map takes every ``stride``-th pixel and leaves the new channels zero.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.added_channels = stride, channels_out - channels_in
        self.first = _convolution(channels_in, channels_out, stride=stride)
        self.second = nn.Sequential(*list(_convolution(channels_out, channels_out))[:-1])  # ReLU follows the sum

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(b, channels_in, h, w)`` to ``(b, channels_out, h / stride, w / stride)``."""
        identity = images[..., :: self.stride, :: self.stride]
        if self.added_channels:
            identity = functional.pad(identity, (0, 0, 0, 0, 0, self.added_channels))
        return functional.relu(identity + self.second(self.first(images)))


def _convolution(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Sequential:
    # Batch normalisation brings its own offset, so the convolution needs none.
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


def _group(channels_in: int, channels_out: int, pairs: int) -> nn.Sequential:
    later = [ResidualPair(channels_out, channels_out) for _ in range(pairs - 1)]
    return nn.Sequential(ResidualPair(channels_in, channels_out, stride=2), *later)


def _check(n: int, m: int, size: int, dropout: float) -> None:
    if n < 1 or m < 1:
        raise PlanError(f"ResNet needs n and m of at least 1 (pairs of convolutions), got n = {n}, m = {m}")
    if size < _SHRINKS_BY or size % _SHRINKS_BY:
        raise PlanError(f"ResNet needs frames whose side is a multiple of {_SHRINKS_BY}, got size = {size}")
    if not 0 <= dropout < 1:
        raise PlanError(f"dropout is a fraction from 0 to below 1, got {dropout}")
