"""Which object fits these intensities? Projections, support, iterative methods, refinement, ambiguities, quality."""

from friedel.phasing.options import PhasingOptions
from friedel.phasing.refine import RefineOptions
from friedel.phasing.solve import Solution, solve

__all__ = ["PhasingOptions", "RefineOptions", "Solution", "solve"]
