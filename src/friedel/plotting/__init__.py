"""Figures from results, one kind a file; no computing, no files, no pyplot state.

Every function returns a `matplotlib.figure.Figure`; whoever asked for it saves or shows it.
"""

from friedel.plotting.error_curves import error_curves_figure
from friedel.plotting.histogram import histogram_figure
from friedel.plotting.intensities import intensities_figure
from friedel.plotting.mesh import Colouring, Placing, SurfaceMesh, phase_mesh, scalar_mesh
from friedel.plotting.resolution import resolution_figure
from friedel.plotting.slices import Panel, crystal_slices, reconstruction_slices, slices_figure
from friedel.plotting.surface import surface_figure

__all__ = [
    "Colouring",
    "Panel",
    "Placing",
    "SurfaceMesh",
    "crystal_slices",
    "error_curves_figure",
    "histogram_figure",
    "intensities_figure",
    "phase_mesh",
    "reconstruction_slices",
    "resolution_figure",
    "scalar_mesh",
    "slices_figure",
    "surface_figure",
]
