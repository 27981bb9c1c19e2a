"""What the default model looks at: the pattern, and the spectrum of its fringes, both free of the detector's units.

The power spectrum of the intensities is the autocorrelation of the scattering density, squared. A single particle's is
compact and has one lobe, whatever its shape; several particles' have side lobes at their separations. Dividing by the
local mean first takes out the envelope, and with it what gaps and the central hole would do to the spectrum.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from friedel.base.fourier import frame_power
from friedel.hits.prepare import EDGE, Prepared

NAME = "features"
"""What cards and plans call this preprocessing."""
CHANNELS = 4
"""Channels of the model's input: spectrum near its origin, whole spectrum, pattern, share of pixels known."""
SPECTRA = (0, 1)
"""Channels with their origin at pixel 32; flips turn them about it."""
SIDE = EDGE // 2
"""Pixels along the edge of the model's input."""

_TILE = 8
# Photons that keep the noise of dark tiles from being divided by nothing.
_DARK = 0.05
_LARGEST = 20.0
# Relative accuracy of a pixel.
_UNEVENNESS = 0.1
_ANSCOMBE = 3 / 8


def model_input(prepared: Prepared) -> Tensor:
    """Return the default model's input.

    Parameters
    ----------
    prepared : Prepared
        Frames in photons, 128² about the beam.

    Returns
    -------
    (n, 4, 64, 64) float32
        log(1 + P) of the whitened pattern's power spectrum P (1 is counting noise), frequencies −32 … 31 per 128
        pixels along both axes; the same for −64 … 63, the greatest of each 2 × 2; log(1 + s) of the pattern binned by
        2, s its variance-stabilised photons (Anscombe 1948); and the share of each of its pixels that was measured.
    """
    spectrum = frame_power(whitened(prepared)) * (EDGE**2 / _measured(prepared))
    share = _sums_of_four(prepared.known) / 4
    photons = _sums_of_four(prepared.photons) / share.clamp_min(0.25)
    stable = 2 * ((photons.clamp_min(0) + _ANSCOMBE).sqrt() - _ANSCOMBE**0.5)
    pattern = stable * (share > 0)
    near, whole = spectra(torch.log1p(spectrum))
    return torch.cat([near, whole, torch.log1p(pattern), share.expand_as(pattern)], dim=1)


def _measured(prepared: Prepared) -> Tensor:
    """Return the number of measured pixels, ``(1 or n, 1, 1, 1)``."""
    return prepared.known.sum(dim=(-2, -1), keepdim=True).clamp_min(1)


def whitened(prepared: Prepared) -> Tensor:
    """Return (n − E)/σ, ``(n, 1, 128, 128)``: fringes and noise about the local mean E, in the noise's own unit.

    σ² = E + read noise + (E/10)²: no detector is even to a tenth, and bright light shows its faults before its noise.
    """
    expected = local_mean(prepared.photons, prepared.known)
    noise = (expected * (1 + _UNEVENNESS**2 * expected) + (prepared.read_variance + _DARK)).rsqrt_()
    return ((prepared.photons - expected) * noise).clamp_(-_LARGEST, _LARGEST) * prepared.known


def local_mean(photons: Tensor, known: Tensor) -> Tensor:
    """Return the mean over about 24 pixels, of known pixels only, same shape; 0 where none is known."""
    tile, window = torch.full((1, 1, _TILE, _TILE), _TILE**-2.0), torch.full((1, 1, 3, 3), 1 / 9)
    tiles = (functional.conv2d(values, tile, stride=_TILE) for values in (photons, known))
    sums, shares = (functional.conv2d(functional.pad(t, (1, 1, 1, 1), mode="replicate"), window) for t in tiles)
    mean = (sums / shares.clamp_min(1e-3) * (shares > 1e-2)).clamp_min_(0)
    up = _interpolation(mean.shape[-1])
    return up @ mean @ up.T


@cache
def _interpolation(tiles: int) -> Tensor:
    """Return the matrix that interpolates linearly from the middles of tiles to pixels, ``(tiles · 8, tiles)``."""
    each = torch.eye(tiles)[None]
    return functional.interpolate(each, scale_factor=_TILE, mode="linear", align_corners=False)[0].T.contiguous()


# Slices instead of torch's pooling, which takes ten times as long for windows of two.


def _sums_of_four(values: Tensor) -> Tensor:
    """Return the sums of each 2 × 2 pixels, ``(…, y // 2, x // 2)``."""
    rows = values[..., ::2, :] + values[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def _greatest_of_four(values: Tensor) -> Tensor:
    """Return the greatest of each 2 × 2 pixels, ``(…, y // 2, x // 2)``."""
    rows = torch.maximum(values[..., ::2, :], values[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def spectra(half: Tensor) -> tuple[Tensor, Tensor]:
    """Return the middle 64² of a spectrum of real frames, and all of it in 64², each ``(n, 1, 64, 64)``.

    ``half`` is ``(n, 1, 128, 65)``. The left halves repeat the right ones mirrored (Friedel's law), so that
    convolutions see lobes whole.
    """
    quarter = SIDE // 2
    near = half[..., quarter : quarter + SIDE + 1, : quarter + 1]
    whole = _greatest_of_four(functional.pad(half, (0, 1, 0, 2)))  # rows 0 … 64, columns 0 … 32
    return _mirrored(near), _mirrored(whole)


def _mirrored(right: Tensor) -> Tensor:
    """Return ``(n, 1, 64, 64)`` with the origin at (32, 32) from its right half, ``(n, 1, 65, 33)``."""
    left = right[..., 1:, 1:].flip(-2, -1)
    return torch.cat([left, right[..., :-1, :-1]], dim=-1)
