"""What the phasing loops know of a measurement: amplitudes, unknown voxels, held-out voxels, coherence.

In the loops reciprocal space has its origin at the corner and real space at the centre. The transform of a centred
array differs from the corner convention by a phase ramp, which no modulus constraint sees: so nothing is ever shifted.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from friedel.bcdi.records import Diffraction, OwnFrames
from friedel.core.fourier import frequencies, half_frequencies, layers_in_frames, to_corner
from friedel.core.machine.device import generator


@dataclass(frozen=True, eq=False)
class Measured:
    """A measurement ready for the loops; all arrays ``(z, y, x)``, corner order, float32.

    Attributes
    ----------
    amplitude : Tensor
        √intensity; 0 where not fitted.
    fitted : Tensor
        1 where the voxel constrains the object, 0 where it is unknown or held out.
    unfitted : Tensor
        1 − ``fitted``.
    held_out : Tensor or None
        1 at voxels measured but kept from the fit; None if none are.
    intensity : Tensor
        Photons; 0 where not measured.
    blur : Tensor or None
        Half-spectrum transfer function of partial coherence, ``(z, y, x // 2 + 1)``; None for full coherence.
    along : (frames, z) complex Tensor or None
        Of frames at places of their own, ``(frames, y, x)`` all the above: what each layer of the object gives to
        each. None: they are the voxels of a grid. Only a refinement without blur knows of it.
    """

    amplitude: Tensor
    fitted: Tensor
    unfitted: Tensor
    held_out: Tensor | None
    intensity: Tensor
    blur: Tensor | None = None
    along: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(z, y, x)``."""
        z, y, x = self.amplitude.shape
        return z, y, x

    @property
    def complete(self) -> bool:
        """Whether every voxel is fitted."""
        return not bool(self.unfitted.any())

    def with_light(self, light: Tensor) -> "Measured":
        """Return the measurement with its frames brought to one light, from how much each had, ``(z,)``, centred."""
        z = len(light)
        factor = (1.0 / torch.roll(light, -(z // 2)))[:, None, None].to(self.intensity)
        return replace(self, amplitude=self.amplitude * factor.sqrt(), intensity=self.intensity * factor)


def measured_from(
    diffraction: Diffraction, *, held_out_fraction: float = 0.0, seed: int = 0, device: torch.device | None = None
) -> Measured:
    """Prepare a measurement for phasing.

    Parameters
    ----------
    diffraction : Diffraction
        Prepared intensities and mask.
    held_out_fraction : float
        Share of measured voxels kept from the fit, drawn at random.
    seed : int
        Seed of the draw.
    device : torch.device, optional
        Where the arrays shall live.
    """
    known = torch.from_numpy(diffraction.mask)
    intensity = torch.where(known, torch.from_numpy(diffraction.intensities), 0.0).clamp_min(0.0)
    draw = torch.rand(known.shape, generator=generator(seed)) < held_out_fraction
    held_out = to_corner(known & draw).to(device)
    fitted = to_corner(known & ~draw).to(device, torch.float32)
    intensity = to_corner(intensity).to(device)
    return Measured(
        amplitude=intensity.sqrt() * fitted,
        fitted=fitted,
        unfitted=1.0 - fitted,
        held_out=held_out.float() if held_out_fraction > 0 else None,
        intensity=intensity,
    )


def measured_at_own_places(frames: OwnFrames, layers: int, *, device: torch.device | None = None) -> Measured:
    """Prepare an uneven scan's own frames for a refinement.

    Parameters
    ----------
    frames : OwnFrames
        As recorded.
    layers : int
        Of the object along the scan.
    device : torch.device, optional
        Where the arrays shall live.
    """
    measured = measured_from(Diffraction(intensities=frames.intensities, mask=frames.mask), device=device)
    # Corner order turns the frames, too: their places go along.
    places = torch.roll(torch.from_numpy(frames.places), -(len(frames.places) // 2)).to(device)
    return replace(measured, along=layers_in_frames(places, layers))


def with_coherence(measured: Measured, widths: Tensor) -> Measured:
    """Return the measurement with the blur of given widths ``(3,)``, voxels of reciprocal space."""
    return replace(measured, blur=transfer(widths, measured.shape))


def transfer(widths: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return the half-spectrum transfer function of partial coherence, a Gaussian blur of the intensities.

    Clark et al., Nat. Commun. 3, 993 (2012).

    Parameters
    ----------
    widths : (3,) Tensor
        Standard deviations along ``(z, y, x)``, voxels of reciprocal space; their sign doesn't matter.
    shape : (int, int, int)
        Array shape.

    Returns
    -------
    (z, y, x // 2 + 1) Tensor
    """
    axes = [frequencies(n, device=widths.device) for n in shape[:2]] + [
        half_frequencies(shape[2], device=widths.device)
    ]
    z, y, x = (torch.exp(-2 * (torch.pi * width * axis) ** 2) for width, axis in zip(widths, axes, strict=True))
    return z[:, None, None] * y[None, :, None] * x[None, None, :]
