"""What the default model looks at: the pattern, and the spectrum of its fringes, both free of the detector's units.

The power spectrum of the intensities is the autocorrelation of the scattering density, squared. A single particle's is
compact and has one lobe, whatever its shape; several particles' have side lobes at their separations. Dividing by the
local mean first takes out the envelope, and with it what gaps and the central hole would do to the spectrum.
"""

import torch
from torch import Tensor
from torch.nn import functional

from friedel.base.fourier import frame_power
from friedel.hits.prepare import EDGE, Prepared

NAME = "fringes"
"""What cards and plans call this preprocessing."""
CHANNELS = 3
"""Channels of the model's input: spectrum, pattern, share of each pixel that is known."""
SIDE = EDGE // 2
"""Pixels along the edge of the model's input."""

_TILE = 8
# Photons that keep the noise of dark tiles from being divided by nothing.
_DARK = 0.05
_LARGEST = 20.0
_ANSCOMBE = 3 / 8


def model_input(prepared: Prepared) -> Tensor:
    """Return the default model's input.

    Parameters
    ----------
    prepared : Prepared
        Frames in photons, 128² about the beam.

    Returns
    -------
    (n, 3, 64, 64) float32
        log(1 + P) of the whitened pattern's power spectrum P, frequencies −32 … 31 per 128 pixels along both axes (1
        is counting noise); log(1 + s) of the pattern binned by 2, s its variance-stabilised photons (Anscombe 1948);
        and the share of each of those pixels that was measured.
    """
    spectrum = frame_power(whitened(prepared)) * (EDGE**2 / _measured(prepared))
    share = functional.avg_pool2d(prepared.known, 2)
    photons = 4 * functional.avg_pool2d(prepared.photons, 2) / share.clamp_min(0.25)
    stable = 2 * ((photons.clamp_min(0) + _ANSCOMBE).sqrt() - _ANSCOMBE**0.5)
    pattern = torch.where(share > 0, stable, torch.zeros(()))
    channels = [centred_half(torch.log1p(spectrum)), torch.log1p(pattern), share.expand_as(pattern)]
    return torch.cat(channels, dim=1)


def _measured(prepared: Prepared) -> Tensor:
    """Return the number of measured pixels, ``(1 or n, 1, 1, 1)``."""
    return prepared.known.sum(dim=(-2, -1), keepdim=True).clamp_min(1)


def whitened(prepared: Prepared) -> Tensor:
    """Return (n − E)/σ, ``(n, 1, 128, 128)``: fringes and noise about the local mean E, in the noise's own unit."""
    expected = local_mean(prepared.photons, prepared.known)
    noise = (expected + (prepared.read_variance + _DARK)).rsqrt_()
    return ((prepared.photons - expected) * noise).clamp_(-_LARGEST, _LARGEST) * prepared.known


def local_mean(photons: Tensor, known: Tensor) -> Tensor:
    """Return the mean over about 24 pixels, of known pixels only, same shape; 0 where none is known."""
    window = torch.full((1, 1, 3, 3), 1 / 9)
    sums, shares = (
        functional.conv2d(functional.pad(functional.avg_pool2d(values, _TILE), (1, 1, 1, 1), mode="replicate"), window)
        for values in (photons, known)
    )
    mean = torch.where(shares > 1e-2, sums / shares.clamp_min(1e-3), torch.zeros(())).clamp_min_(0)
    return functional.interpolate(mean, scale_factor=_TILE, mode="bilinear", align_corners=False)


def centred_half(spectrum: Tensor) -> Tensor:
    """Return the middle 64² of a spectrum of real frames, ``(n, 1, 128, 65)`` → ``(n, 1, 64, 64)``.

    The left half repeats the right one mirrored (Friedel's law), so that convolutions see it whole.
    """
    half = SIDE // 2
    right = spectrum[..., half : half + SIDE, :half]
    mirrored = spectrum[..., half + 1 : half + 1 + SIDE, 1 : half + 1].flip(-2, -1)
    return torch.cat([mirrored, right], dim=-1)
