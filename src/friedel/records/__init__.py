"""What flows between the rooms: frozen records that say shape, axis order, dtype and unit. No computing, no files."""

from friedel.records.crystal_image import CrystalImage
from friedel.records.hits import Frames, FrameStatus, HitScores
from friedel.records.measurement import BraggScan, Diffraction
from friedel.records.quality import Curve, Quality
from friedel.records.reconstruction import Provenance, Reconstruction, Start

__all__ = [
    "BraggScan",
    "CrystalImage",
    "Curve",
    "Diffraction",
    "FrameStatus",
    "Frames",
    "HitScores",
    "Provenance",
    "Quality",
    "Reconstruction",
    "Start",
]
