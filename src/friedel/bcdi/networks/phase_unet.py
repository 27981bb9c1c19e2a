"""A plain phasing network: a U-Net from a diffraction amplitude to its phase in reciprocal space.

Predicting the reciprocal-space phase follows Masto et al., arXiv:2507.06644. How the phase becomes an object, and how
the input is prepared, is decided elsewhere.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from friedel.core.errors import PlanError

# Share of the largest amplitude: fringes are a thousand times weaker than the peak; hence the logarithm.
_WEAKEST = 1e-3
_TINY = 2  # voxels of a map's side up to which `exact_where_tiny` leaves bfloat16
_DARK = 1e-12  # keeps the phasor finite where both its parts are zero


class PhaseUNet(nn.Module):
    """Predict the reciprocal-space phase of a diffraction amplitude, as a phasor.

    ``levels`` times two convolutions and a halving, the channels doubling; then back, with the map of the same size
    joined at each level. A phase near ±π has no jump in its phasor, so the network gives cosine and sine.

    Parameters
    ----------
    width : int
        Channels at full size.
    levels : int
        Halvings; sides must be multiples of 2 to this power.
    channels : int
        Images per pattern.

    Raises
    ------
    PlanError
        If one of them is out of range.
    """

    gives = "diffraction"

    def __init__(self, width: int = 16, *, levels: int = 3, channels: int = 1) -> None:
        super().__init__()
        if width < 1 or levels < 1 or channels < 1:
            given = f"{width}, {levels}, {channels}"
            raise PlanError(f"PhaseUNet needs width, levels and channels of at least 1, got {given}")
        widths = [width * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            convolution_pair(first, last) for first, last in zip((channels, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose3d(2 * n, n, 2, stride=2) for n in reversed(widths[:-1]))
        self.joined = nn.ModuleList(convolution_pair(2 * n, n) for n in reversed(widths[:-1]))
        self.phasor = nn.Conv3d(width, 2, 1)
        self.levels = levels

    def forward(self, amplitude: Tensor) -> Tensor:
        """Return cosine and sine of the phase, ``(b, 2, z, y, x)``, of amplitudes ``(b, channels, z, y, x)``.

        Raises
        ------
        PlanError
            If a side can't be halved ``levels`` times.
        """
        multiple = 2**self.levels
        if any(side % multiple for side in amplitude.shape[-3:]):
            raise PlanError(
                f"this PhaseUNet needs sides that are multiples of {multiple}, got {tuple(amplitude.shape)}"
            )
        seen, kept = logarithmic(amplitude), []
        for number, pair in enumerate(self.down):
            seen = exact_where_tiny(pair, seen if number == 0 else functional.max_pool3d(seen, 2))
            kept.append(seen)
        for up, pair, beside in zip(self.up, self.joined, reversed(kept[:-1]), strict=True):
            seen = pair(torch.cat([up(seen), beside], dim=1))
        return unit_phasor(self.phasor(seen))


def logarithmic(amplitude: Tensor) -> Tensor:
    """Return log(1 + 1000 a) / log(1001) of amplitudes a from 0 to 1, so that peak and fringes have like weight."""
    return torch.log1p(amplitude / _WEAKEST) / math.log1p(1 / _WEAKEST)


def unit_phasor(parts: Tensor) -> Tensor:
    """Return cosine and sine ``(b, 2, ...)``, float32, of the phases of complex numbers given by their parts."""
    parts = parts.float()
    # Written out: on a CPU the library's norm over two channels takes as long as a fifth of the network.
    squares = parts[:, :1].square() + parts[:, 1:].square()
    return parts * squares.clamp_min(_DARK).rsqrt()


def exact_where_tiny(layers: nn.Module, seen: Tensor) -> Tensor:
    """Apply convolutions of 3³; where gradients are wanted, in float32 to maps of 2³ and less.

    There, on CPUs with bfloat16, PyTorch 2.13 gives gradients of the kernels that are wrong, or no numbers at all.
    """
    if min(seen.shape[-3:]) > _TINY or not torch.is_grad_enabled():
        return layers(seen)
    with torch.autocast(seen.device.type, enabled=False):
        return layers(seen.float())


def convolution_pair(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return two convolutions of 3³, each normalised and rectified."""
    return nn.Sequential(
        nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv3d(channels_out, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm3d(channels_out),
        nn.ReLU(inplace=True),
    )
