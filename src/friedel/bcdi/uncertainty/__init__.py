"""How far a reconstruction may be off, voxel by voxel: photons, other solutions that fit, their supports."""

from friedel.bcdi.uncertainty.estimate import Solved, estimate_uncertainty
from friedel.bcdi.uncertainty.verdict import with_error_bars

__all__ = ["Solved", "estimate_uncertainty", "with_error_bars"]
