"""What the default model looks at: the pattern, and the spectrum of its fringes, both free of the detector's units.

The power spectrum of the intensities is the autocorrelation of the scattering density, squared. A single particle's is
compact and has one lobe, whatever its shape; several particles' have side lobes at their separations. Dividing by the
local mean first takes out the envelope, and with it what gaps and the central hole would do to the spectrum.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from friedel.core.fourier import frame_power
from friedel.spi.hits.preparation.prepare import EDGE, Prepared

NAME = "features"
"""What cards and plans call this preprocessing."""
CHANNELS = 4
"""Channels of the model's input: spectrum near its origin, whole spectrum, pattern, share of pixels known."""
SPECTRA = (0, 1)
"""Channels with their origin at pixel 32; flips turn them about it."""
SIDE = EDGE // 2
"""Pixels along the edge of the model's input."""

_TILE = 8  # pixels: local means are over 3 × 3 tiles, wider than the fringes that are to stay
# Photons added to the variance, so that dark tiles aren't divided by zero.
_DARK = 0.05
_LARGEST = 20.0  # standard deviations at which single pixels are cut off: more is a hot pixel
# Relative pixel-to-pixel variation of the response.
_UNEVENNESS = 0.1
_ANSCOMBE = 3 / 8  # √(n + 3/8) has nearly constant variance for Poisson counts (Anscombe, Biometrika 35, 246, 1948)


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
    scale = EDGE**2 / _measured(prepared)
    near, whole = log_spectra(frame_power(whitened(prepared)).mul_(scale))
    share = _sums_of_four(prepared.known) / 4
    photons = _sums_of_four(prepared.photons).div_(share.clamp_min(0.25)).clamp_min_(0)
    pattern = photons.add_(_ANSCOMBE).sqrt_().sub_(_ANSCOMBE**0.5).mul_(2 * (share > 0)).log1p_()
    return torch.cat([near, whole, pattern, share.expand_as(pattern)], dim=1)


def _measured(prepared: Prepared) -> Tensor:
    """Return the number of measured pixels, ``(1 or n, 1, 1, 1)``."""
    return prepared.known.sum(dim=(-2, -1), keepdim=True).clamp_min(1)


def whitened(prepared: Prepared) -> Tensor:
    """Return (n − E)/σ, ``(n, 1, 128, 128)``: fringes and noise about the local mean E, in the noise's own unit.

    σ² = E + read noise + (E/10)²: the last term allows for 10 % variation of the pixels' response, which exceeds
    counting noise in bright light.
    """
    expected = local_mean(prepared.photons, prepared.known)
    variance = torch.addcmul(expected, expected, expected, value=_UNEVENNESS**2).add_(prepared.read_variance + _DARK)
    # In place: new arrays would take longer than the arithmetic.
    fringes = torch.sub(prepared.photons, expected, out=expected).mul_(variance.rsqrt_())
    return fringes.clamp_(-_LARGEST, _LARGEST).mul_(prepared.known)


def local_mean(photons: Tensor, known: Tensor) -> Tensor:
    """Return the mean over about 24 pixels, of known pixels only, same shape; 0 where none is known."""
    tile, window = torch.full((1, 1, _TILE, _TILE), _TILE**-2.0), torch.full((1, 1, 3, 3), 1 / 9)
    tiles = (functional.conv2d(values, tile, stride=_TILE) for values in (photons, known))
    sums, shares = (functional.conv2d(functional.pad(t, (1, 1, 1, 1), mode="replicate"), window) for t in tiles)
    mean = (sums / shares.clamp_min(1e-3) * (shares > 1e-2)).clamp_min_(0)
    return _interpolated(mean)


def _interpolated(tiles: Tensor) -> Tensor:
    """Return ``(n, 1, y, x)`` tiles interpolated linearly from their middles to pixels, ``(n, 1, 8 y, 8 x)``."""
    across = tiles @ _interpolation(tiles.shape[-1])
    padded = functional.pad(across, (0, 0, 1, 1), mode="replicate")
    between = (torch.arange(_TILE) + 0.5)[:, None] / _TILE
    rows = torch.lerp(padded[..., :-1, None, :], padded[..., 1:, None, :], between).flatten(2, 3)
    return rows[..., _TILE // 2 : -_TILE // 2, :]


@cache
def _interpolation(tiles: int) -> Tensor:
    """Return the matrix that interpolates linearly from the middles of tiles to pixels, ``(tiles, tiles · 8)``."""
    each = torch.eye(tiles)[None]
    return functional.interpolate(each, scale_factor=_TILE, mode="linear", align_corners=False)[0]


# Slices instead of torch's pooling, which takes ten times as long for windows of two.


def _sums_of_four(values: Tensor) -> Tensor:
    """Return the sums of each 2 × 2 pixels, ``(…, y // 2, x // 2)``."""
    rows = values[..., ::2, :] + values[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def _greatest_of_four(values: Tensor) -> Tensor:
    """Return the greatest of each 2 × 2 pixels, ``(…, y // 2, x // 2)``."""
    rows = torch.maximum(values[..., ::2, :], values[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def log_spectra(power: Tensor) -> tuple[Tensor, Tensor]:
    """Return log(1 + P) of the middle 64² of a spectrum of real frames, and of all of it in 64².

    ``power`` is ``(n, 1, 128, 65)``, both results ``(n, 1, 64, 64)``. Their left halves repeat the right ones mirrored
    (Friedel's law), so that convolutions see lobes whole.
    """
    quarter = SIDE // 2
    near = power[..., quarter : quarter + SIDE + 1, : quarter + 1]
    whole = _greatest_of_four(functional.pad(power, (0, 1, 0, 2)))  # rows 0 … 64, columns 0 … 32
    return _mirrored(near.log1p()), _mirrored(whole.log1p_())


def _mirrored(right: Tensor) -> Tensor:
    """Return ``(n, 1, 64, 64)`` with the origin at (32, 32) from its right half, ``(n, 1, 65, 33)``."""
    left = right[..., 1:, 1:].flip(-2, -1)
    return torch.cat([left, right[..., :-1, :-1]], dim=-1)
