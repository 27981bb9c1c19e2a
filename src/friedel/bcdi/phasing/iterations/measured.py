"""What the phasing loops know of a measurement: amplitudes, unknown voxels, held-out voxels, coherence.

In the loops reciprocal space has its origin at the corner and real space at the centre. The transform of a centred
array differs from the corner convention by a phase ramp, which no modulus constraint sees: so nothing is ever shifted.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from friedel.bcdi.records import Diffraction
from friedel.core.fourier import to_corner
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
    """

    amplitude: Tensor
    fitted: Tensor
    unfitted: Tensor
    held_out: Tensor | None
    intensity: Tensor
    blur: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(z, y, x)``."""
        z, y, x = self.amplitude.shape
        return z, y, x

    @property
    def complete(self) -> bool:
        """Whether every voxel is fitted."""
        return not bool(self.unfitted.any())


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
