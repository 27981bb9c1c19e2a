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


def model_input(prepared: Prepared, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the default model's input.

    Parameters
    ----------
    prepared : Prepared
        Frames in photons, 128² about the beam.
    dtype : torch.dtype
        Of what is returned; all is computed in float32.

    Returns
    -------
    (n, 4, 64, 64)
        log(1 + P) of the whitened pattern's power spectrum P (1 is counting noise), frequencies −32 … 31 per 128
        pixels along both axes; the same for −64 … 63, the greatest of each 2 × 2; log(1 + s) of the pattern binned by
        2, s its variance-stabilised photons (Anscombe 1948); and the share of each of its pixels that was measured.
    """
    photons, known = (_sums_of_four(values) for values in (prepared.photons, prepared.known))
    seen = torch.empty(len(photons), CHANNELS, SIDE, SIDE, dtype=dtype)
    power = frame_power(_whitened(prepared, _interpolated(_means_about(photons, known))))
    _put_log_spectra(seen[:, :2], power, EDGE**2 / _measured(prepared))
    share = known / 4
    stable = photons.mul_(1 / share.clamp_min(0.25)).add_(_ANSCOMBE).clamp_min_(_ANSCOMBE).sqrt_()
    shown = 2.0 * (share > 0)
    seen[:, 2:3] = torch.addcmul(1 - _ANSCOMBE**0.5 * shown, stable, shown).log_()
    seen[:, 3:] = share
    return seen


def _measured(prepared: Prepared) -> Tensor:
    """Return the number of measured pixels, ``(1 or n, 1, 1, 1)``."""
    return prepared.known.sum(dim=(-2, -1), keepdim=True).clamp_min(1)


def whitened(prepared: Prepared) -> Tensor:
    """Return (n − E)/σ, ``(n, 1, 128, 128)``: fringes and noise about the local mean E, in the noise's own unit.

    σ² = E + read noise + (E/10)²: the last term allows for 10 % variation of the pixels' response, which exceeds
    counting noise in bright light.
    """
    return _whitened(prepared, local_mean(prepared.photons, prepared.known))


def _whitened(prepared: Prepared, expected: Tensor) -> Tensor:
    """Return `whitened` from the local mean, which is written over: a new array would take longer than the sum."""
    least = torch.tensor(prepared.read_variance + _DARK)
    deviation = torch.addcmul(least, expected, expected, value=_UNEVENNESS**2).add_(expected).sqrt_()
    fringes = torch.sub(prepared.photons, expected, out=expected).div_(deviation)
    return fringes.clamp_(-_LARGEST, _LARGEST).mul_(prepared.known)


def local_mean(photons: Tensor, known: Tensor) -> Tensor:
    """Return the mean over about 24 pixels, of known pixels only, same shape; 0 where none is known."""
    return _interpolated(_means_about(_sums_of_four(photons), _sums_of_four(known)))


def _means_about(photons: Tensor, known: Tensor) -> Tensor:
    """Return the means over 3 × 3 tiles about each tile, ``(n, 1, 16, 16)``, from sums of four pixels."""
    rows = (values.reshape(len(values), 1, -1, _TILE // 2, SIDE).sum(3) for values in (photons, known))
    sums, shares = (_windows() @ values @ _tiles() for values in rows)
    return (sums / shares.clamp_min(1e-3) * (shares > 1e-2)).clamp_min_(0)


# Products with small matrices instead of torch's convolutions and pooling, which take several times as long.


@cache
def _windows() -> Tensor:
    """Return the matrix of means over three tiles, those at the ends repeated, ``(16, 16)``."""
    places = torch.arange(EDGE // _TILE)[:, None] + torch.tensor([-1, 0, 1])
    return functional.one_hot(places.clamp(0, EDGE // _TILE - 1)).sum(1) / 3


@cache
def _tiles() -> Tensor:
    """Return the matrix from sums of four pixels to the means of `_windows` of tiles, ``(64, 16)``."""
    return torch.eye(EDGE // _TILE).repeat_interleave(_TILE // 2, 0) @ _windows().T / _TILE**2


def _interpolated(tiles: Tensor) -> Tensor:
    """Return ``(n, 1, y, x)`` tiles interpolated linearly from their middles to pixels, ``(n, 1, 8 y, 8 x)``."""
    across = _interpolation(tiles.shape[-1])
    return (across.T @ tiles) @ across


@cache
def _interpolation(tiles: int) -> Tensor:
    """Return the matrix that interpolates linearly from the middles of tiles to pixels, ``(tiles, tiles · 8)``."""
    each = torch.eye(tiles)[None]
    return functional.interpolate(each, scale_factor=_TILE, mode="linear", align_corners=False)[0]


def _sums_of_four(values: Tensor) -> Tensor:
    """Return the sums of each 2 × 2 pixels, ``(…, y // 2, x // 2)``."""
    rows = values[..., ::2, :] + values[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def log_spectra(power: Tensor) -> Tensor:
    """Return log(1 + P) of the middle 64² of a spectrum of real frames, and of all of it in 64², ``(n, 2, 64, 64)``.

    ``power`` is ``(n, 1, 128, 65)``, as of `friedel.core.fourier.frame_power`. The left halves repeat the right ones
    mirrored (Friedel's law), so that convolutions see lobes whole.
    """
    both = torch.empty(len(power), 2, SIDE, SIDE)
    _put_log_spectra(both, power, torch.ones(1, 1, 1, 1))
    return both


def _put_log_spectra(both: Tensor, power: Tensor, scale: Tensor) -> None:
    """Write `log_spectra` of ``scale`` times the power to ``(n, 2, 64, 64)``."""
    middle, half = SIDE // 2, power[:, 0]
    right = torch.zeros(len(power), 2, SIDE + 1, middle + 1)
    right[:, 0, :middle], right[:, 0, middle:] = half[:, -middle:, : middle + 1], half[:, : middle + 1, : middle + 1]
    rows = torch.maximum(half[:, ::2], half[:, 1::2])
    # Vertical frequencies below zero stand behind the others.
    for here, there in ((slice(middle), slice(middle, None)), (slice(middle, SIDE), slice(middle))):
        torch.maximum(rows[:, there, :-1:2], rows[:, there, 1::2], out=right[:, 1, here, :-1])
        right[:, 1, here, -1] = rows[:, there, -1]
    right.mul_(scale).add_(1).log_()
    both[..., middle:] = right[..., :-1, :-1]
    both[..., :middle] = right[..., 1:, 1:].flip(-2, -1)
