"""Beam, detector, diffractometer and the grid they span in q: frozen records, derived values as properties."""

from friedel.optics.grid import ReciprocalGrid
from friedel.optics.instrument import Beam, Circle, Detector, Diffractometer
from friedel.optics.rocking import reciprocal_grid

__all__ = ["Beam", "Circle", "Detector", "Diffractometer", "ReciprocalGrid", "reciprocal_grid"]
