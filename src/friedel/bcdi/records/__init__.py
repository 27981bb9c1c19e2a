"""What flows between the rooms: frozen records that say shape, axis order, dtype and unit. No computing, no files.

Each name's module is imported on its first use, so that importing one record doesn't import the others'.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from friedel.bcdi.records.crystal_image import CrystalImage
    from friedel.bcdi.records.measurement import BraggScan, Diffraction, OwnFrames
    from friedel.bcdi.records.origin import Origin
    from friedel.bcdi.records.quality import Curve, Quality
    from friedel.bcdi.records.reconstruction import Provenance, Reconstruction, Start
    from friedel.bcdi.records.uncertainty import CrystalErrors, Uncertainty

_HOMES = {
    "BraggScan": "measurement",
    "CrystalErrors": "uncertainty",
    "CrystalImage": "crystal_image",
    "Curve": "quality",
    "Diffraction": "measurement",
    "Origin": "origin",
    "OwnFrames": "measurement",
    "Provenance": "reconstruction",
    "Quality": "quality",
    "Reconstruction": "reconstruction",
    "Start": "reconstruction",
    "Uncertainty": "uncertainty",
}

__all__ = [
    "BraggScan",
    "CrystalErrors",
    "CrystalImage",
    "Curve",
    "Diffraction",
    "Origin",
    "OwnFrames",
    "Provenance",
    "Quality",
    "Reconstruction",
    "Start",
    "Uncertainty",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'friedel.bcdi.records' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"friedel.bcdi.records.{_HOMES[name]}"), name)
