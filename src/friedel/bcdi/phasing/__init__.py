"""Which object fits these intensities? Projections, support, iterative methods, refinement, ambiguities, quality."""

from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.refine import RefineOptions
from friedel.bcdi.phasing.solve import Solution, solve

__all__ = ["PhasingOptions", "RefineOptions", "Solution", "solve"]
