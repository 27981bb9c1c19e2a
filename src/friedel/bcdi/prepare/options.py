"""What a user may decide about the preparation of a scan."""

from typing import Annotated

from pydantic import Field

from friedel.core.options import Options

Size = Annotated[int, Field(ge=16)]
Factor = Annotated[int, Field(ge=1)]


class PrepareOptions(Options):
    """How a raw rocking scan becomes a clean 3D pattern."""

    saturation: Annotated[float, Field(gt=0)] | None = None
    """Raw counts at and above which a pixel is saturated, and so unknown; None: no limit known."""
    lost_frames: bool = True
    """Find frames that are lost, repeated, lifted or attenuated by comparing each with those next to it."""
    flat_field: bool = True
    """Divide by the flat field, where the scan has one."""
    flat_floor: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Pixels whose flat field is below this fraction of its median are unknown."""
    dead_pixels: bool = True
    """Find pixels that stay dark while their neighbours count."""
    hot_pixels: bool = True
    """Find pixels, and single voxels, far brighter than all their neighbours."""
    counting: bool = True
    """Find counters that overflowed, lines of wide pixels, and counts lost at high rates."""
    monitor: bool = True
    """Divide by the incident intensity, where the scan has one."""
    aliens: bool = True
    """Find other crystals' peaks and take them as unknown."""
    alien_ratio: Annotated[float, Field(gt=1)] = 6.0
    """How many times brighter than its surroundings, and than its Friedel mate, an alien must be."""
    centre: tuple[int, int, int] | None = None
    """Index ``(rocking, y, x)`` of the peak in the raw frames; None: find it."""
    shape: tuple[Size, Size, Size] | None = None
    """Final ``(z, y, x)``, after binning; None: the largest FFT-friendly box symmetric about the peak."""
    pad_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Without ``shape``: share of an axis that may lie outside the recorded region, as unknown voxels."""
    bin: tuple[Factor, Factor, Factor] = (1, 1, 1)
    """Voxels summed along ``(z, y, x)``."""
