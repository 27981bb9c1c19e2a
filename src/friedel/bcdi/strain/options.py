"""Choices of the strain analysis, as a section of the plan."""

from typing import Literal

from pydantic import Field

from friedel.core.options import Options

Frame = Literal["laboratory", "h along y", "h along z"]


class StrainOptions(Options):
    """How a reconstruction becomes a picture of displacement and strain."""

    frame: Frame = "laboratory"
    """Axes of the result: the laboratory's (z along the beam, y up), or turned the short way so that h is y or z."""

    voxel_size_angstrom: float | None = Field(default=None, gt=0)
    """Edge of the result's cubic voxels, Å; null takes the finest step of the measurement's own voxels."""

    isosurface_level: float | None = Field(default=None, gt=0, lt=1)
    """Amplitude of the surface as a fraction of the bulk's; null finds it from the amplitude histogram."""

    remove_ramp: bool = True
    """Take the mean phase gradient out of the object and into h: strain is then relative to the mean lattice."""

    smoothing_voxels: float = Field(default=0.75, ge=0, le=5)
    """RMS width, in the result's voxels, of the Gaussian over exp(iφ) before displacement and strain are read: it takes
    out the ripples that a diffraction pattern's finite extent leaves. The object itself stays as it is; 0 for none."""

    refraction_material: str | None = None
    """Chemical formula ("Au") whose refraction and absorption along the beam's path are undone; null leaves them in."""

    unwrap: bool = True
    """Unwrap the displacement; strain never needs it."""
