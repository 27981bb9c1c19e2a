"""Intensities on a cubic grid: sampled, collected, symmetrised and smoothed.

Volumes are ``(z, y, x)`` with the origin at ``n // 2`` (n odd), points ``(..., 3)`` are (x, y, z) in voxels from it.
Intensities are handled as the radial mean times a relative field whose mean is one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from friedel.core.fourier import inverse_real_fourier_corner, real_fourier_corner, to_corner

_COLLECTED = 1 << 15
"""Points collected at once: what is computed for them stays in a core's cache; a quarter less time."""


def radii(n: int, *, device: torch.device | str | None = None) -> Tensor:
    """Return each voxel's distance from the origin, ``(n, n, n)`` float32."""
    axis = (torch.arange(n, device=device) - n // 2).float()
    return torch.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)


def _corners(points: Tensor, n: int) -> tuple[Tensor, list[tuple[int, Tensor]]]:
    """Return the flat index of each point's lowest voxel, and (offset, weight) of the eight around it."""
    place = points + n // 2
    low = torch.floor(place).clamp_(0, n - 2)
    x, y, z = (place - low).unbind(-1)
    low = low.long()
    base = (low[..., 2] * n + low[..., 1]) * n + low[..., 0]
    around = []
    for dz, wz in ((0, 1 - z), (1, z)):
        for dy, wy in ((0, 1 - y), (1, y)):
            share = wz * wy
            around += [((dz * n + dy) * n, share * (1 - x)), ((dz * n + dy) * n + 1, share * x)]
    return base, around


def sample(volume: Tensor, points: Tensor) -> Tensor:
    """Return a volume's values at points, interpolated linearly; points outside get the boundary's value."""
    grid = (points / (volume.shape[0] // 2)).to(volume.dtype).reshape(1, 1, 1, -1, 3)
    values = grid_sample(volume[None, None], grid, padding_mode="border", align_corners=True)
    return values.reshape(points.shape[:-1])


def collect(total: Tensor, points: Tensor, values: Tensor) -> None:
    """Add values to the voxels around points, in place: the adjoint of `sample`."""
    flat, points, values = total.view(-1), points.reshape(-1, 3), values.reshape(-1)
    for place, value in zip(torch.split(points, _COLLECTED), torch.split(values, _COLLECTED), strict=True):
        base, around = _corners(place, total.shape[0])
        for offset, weight in around:
            flat.index_add_(0, base + offset, value * weight)


def friedel_mean(volume: Tensor) -> Tensor:
    """Return the mean of a volume (odd n) and its inversion."""
    return (volume + volume.flip((0, 1, 2))) / 2


def spherical_mean(values: Tensor, weight: Tensor, shell: Tensor) -> Tensor:
    """Return Σ values / Σ weight by shell; NaN where no weight fell."""
    n = int(shell.max()) + 1
    totals = [torch.zeros(n, device=v.device).index_add_(0, shell.reshape(-1), v.reshape(-1)) for v in (values, weight)]
    return torch.where(totals[1] > 0, totals[0] / totals[1], torch.nan)


@dataclass(frozen=True, eq=False)
class Merge:
    """What the frames put into each voxel.

    Attributes
    ----------
    photons : (n, n, n) float32
        Photons, shared among orientations by their probability.
    exposure : (n, n, n) float32
        What a unit of intensity would have given.
    """

    photons: Tensor
    exposure: Tensor

    def __add__(self, other: "Merge") -> "Merge":
        return Merge(self.photons + other.photons, self.exposure + other.exposure)


def speckle_spectrum(n: int, diameter: float, *, device: torch.device | str | None = None) -> Tensor:
    """Return the power spectrum of speckle, ``(n, n, n // 2 + 1)`` corner order, mean 1 over all frequencies.

    The intensity's Fourier transform is the object's autocorrelation; of a ball of this diameter (in voxels of the
    reciprocal of the grid) it falls as 1 − 1.5 t + 0.5 t³ with t = r / diameter.
    """
    t = (to_corner(radii(n, device=device)) / diameter).clamp(max=1.0)
    spectrum = (1 - 1.5 * t + 0.5 * t**3).clamp_min(0)  # at t = 1 rounding leaves −6e-8, of which a root is NaN
    return (spectrum / spectrum.mean())[..., : n // 2 + 1].contiguous()


def smooth_field(
    photons: Tensor, expected: Tensor, spectrum: Tensor, deviation: Tensor, *, steps: int, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the most probable relative field: photons ~ Poisson(expected · field), field = 1 + deviation · speckle.

    The Wiener estimate for noise of variance ``expected``: (E + C⁻¹) (x − 1) = photons − E, with C of the given
    spectrum and deviation, by conjugate gradients on C^½ E C^½ + 1.

    Parameters
    ----------
    photons, expected : (n, n, n)
        What came, and what a field of one would give.
    spectrum : (n, n, n // 2 + 1)
        Power spectrum of the speckle, mean one.
    deviation : (n, n, n)
        Standard deviation of the field: 1 for fully developed speckle, less where the object is compact or a
        background without structure adds to the mean.
    steps : int
        Of the conjugate gradients, at most.
    start : (n, n, n)
        White speckle to begin from; None: nothing.

    Returns
    -------
    field, white : (n, n, n)
        The field, and the white speckle behind it, from which the next estimate may begin.
    """
    # On spectra, where each step takes two transforms; of the half spectrum all but the first plane counts twice.
    root, shape, weight = spectrum.sqrt(), photons.shape, deviation**2 * expected

    def coloured(values: Tensor) -> Tensor:
        return inverse_real_fourier_corner(values * root, shape)

    def normal(values: Tensor) -> Tensor:
        return real_fourier_corner(weight * coloured(values)) * root + values

    def product(one: Tensor, other: Tensor) -> float:
        first, second = torch.view_as_real(one), torch.view_as_real(other)
        plane = float((first[..., 0, :] * second[..., 0, :]).sum())
        return 2 * float(first.reshape(-1) @ second.reshape(-1)) - plane

    residual = real_fourier_corner(deviation * (photons - expected)) * root
    first = product(residual, residual)
    white = torch.zeros_like(residual) if start is None else real_fourier_corner(start)
    if start is not None:
        residual -= normal(white)
    direction, power = residual.clone(), product(residual, residual)
    for _ in range(steps):
        if power <= 1e-5 * first:
            break
        image = normal(direction)
        length = power / product(direction, image)
        white.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        previous, power = power, product(residual, residual)
        direction.mul_(power / previous).add_(residual)
    return 1 + deviation * coloured(white), inverse_real_fourier_corner(white, shape)
