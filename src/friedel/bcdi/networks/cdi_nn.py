"""3D-CDI-NN, as published: a diffraction amplitude in, a crystal's shape and phase out. No preparation, no physics.

H. Chan et al., "Rapid 3D nanoscale coherent imaging via physics-aware deep learning", Appl. Phys. Rev. 8, 021407
(2021).
"""

import itertools
import math

import torch
from torch import Tensor, nn

from friedel.core.errors import PlanError

FILTERS = (32, 64, 128)  # of the three levels, as published
# Each of the three levels halves every side.
_SHRINKS_BY = 2 ** len(FILTERS)


class CdiNN(nn.Module):
    """Predict a crystal from its diffraction amplitude.

    One encoder of three levels, each two convolutions of 3³ and a 2³ maximum, with 32, 64 and 128 filters; two decoders
    that mirror it (two convolutions and an upsampling by 2, three times), each ended by a convolution to one channel.
    ReLU and dropout follow each convolution but the last; no skips, no normalisation. 3,459,938 parameters. What is not
    published is chosen here: the last activations (logistic for the shape, π tanh for the phase), nearest-neighbour
    upsampling, and one dropout at the end of each level.

    Parameters
    ----------
    dropout : float in [0, 1)
        Share of each level's values that training drops.

    Raises
    ------
    PlanError
        If the dropout is out of range.
    """

    gives = "object"

    def __init__(self, *, dropout: float = 0.1) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise PlanError(f"dropout is from 0 to below 1, got {dropout}")
        widths = zip((1, *FILTERS[:-1]), FILTERS, strict=True)
        encoder = [_level(first, last, nn.MaxPool3d(2), dropout) for first, last in widths]
        self.encoder = nn.Sequential(*encoder)
        self.shape = _decoder(dropout)
        self.phase = _decoder(dropout)

    def forward(self, amplitude: Tensor) -> Tensor:
        """Return shape (0 to 1) and phase (−π to π), ``(b, 2, z, y, x)``, of amplitudes ``(b, 1, z, y, x)``.

        Raises
        ------
        PlanError
            If a side isn't a multiple of 8.
        """
        if any(side % _SHRINKS_BY for side in amplitude.shape[-3:]):
            raise PlanError(f"3D-CDI-NN needs sides that are multiples of {_SHRINKS_BY}, got {tuple(amplitude.shape)}")
        code = self.encoder(amplitude)
        return torch.cat([torch.sigmoid(self.shape(code)), math.pi * torch.tanh(self.phase(code))], dim=1)


def _decoder(dropout: float) -> nn.Sequential:
    widths = (FILTERS[-1], *reversed(FILTERS))
    levels = [
        _level(first, last, nn.Upsample(scale_factor=2, mode="nearest"), dropout)
        for first, last in itertools.pairwise(widths)
    ]
    return nn.Sequential(*levels, nn.Conv3d(FILTERS[0], 1, 3, padding=1))


def _level(channels_in: int, channels_out: int, scale: nn.Module, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv3d(channels_out, channels_out, 3, padding=1),
        nn.ReLU(inplace=True),
        scale,
        nn.Dropout(dropout),
    )
