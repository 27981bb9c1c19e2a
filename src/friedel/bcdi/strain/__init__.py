"""From a reconstruction to the crystal in the laboratory: surface, displacement, strain and lattice spacing."""

from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.bcdi.strain.surface import Isosurface, find_isosurface

__all__ = ["Isosurface", "StrainOptions", "analyse", "find_isosurface"]
