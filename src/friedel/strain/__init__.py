"""From a reconstruction to the crystal in the laboratory: surface, displacement, strain and lattice spacing."""

from friedel.strain.analysis import analyse
from friedel.strain.options import StrainOptions
from friedel.strain.surface import Isosurface, find_isosurface

__all__ = ["Isosurface", "StrainOptions", "analyse", "find_isosurface"]
