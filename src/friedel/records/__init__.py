"""What flows between the rooms: frozen records that say shape, axis order, dtype and unit. No computing, no files.

The names load on first use: who needs frames and scores alone doesn't wait for the geometry of crystals.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from friedel.records.crystal_image import CrystalImage
    from friedel.records.hits import Frames, FrameStatus, HitScores
    from friedel.records.measurement import BraggScan, Diffraction
    from friedel.records.quality import Curve, Quality
    from friedel.records.reconstruction import Provenance, Reconstruction, Start

_HOMES = {
    "BraggScan": "measurement",
    "CrystalImage": "crystal_image",
    "Curve": "quality",
    "Diffraction": "measurement",
    "FrameStatus": "hits",
    "Frames": "hits",
    "HitScores": "hits",
    "Provenance": "reconstruction",
    "Quality": "quality",
    "Reconstruction": "reconstruction",
    "Start": "reconstruction",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'friedel.records' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"friedel.records.{_HOMES[name]}"), name)
