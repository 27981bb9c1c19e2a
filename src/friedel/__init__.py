"""Coherent X-ray imaging of single particles and of crystals: from raw frames to a picture you can trust.

The public names load on first use, so that `import friedel` and the command line stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from friedel._version import __version__

if TYPE_CHECKING:
    from friedel.bcdi.predict import predict
    from friedel.bcdi.reconstruct import reconstruct
    from friedel.bcdi.records import BraggScan, CrystalImage, Diffraction, Reconstruction
    from friedel.bcdi.scans.source import ScanSource
    from friedel.core.errors import FriedelError, InputError
    from friedel.facade import analyse, classify, load, open_frames, prepare, read_scan, watch
    from friedel.spi.hits.model import load_model
    from friedel.spi.merge.merge import merge
    from friedel.spi.merge.merged import Merged
    from friedel.spi.records import Frames, HitScores

_HOMES = {
    "analyse": "friedel.facade",
    "classify": "friedel.facade",
    "load": "friedel.facade",
    "load_model": "friedel.spi.hits.model",
    "merge": "friedel.spi.merge.merge",
    "open_frames": "friedel.facade",
    "predict": "friedel.bcdi.predict",
    "prepare": "friedel.facade",
    "read_scan": "friedel.facade",
    "reconstruct": "friedel.bcdi.reconstruct",
    "watch": "friedel.facade",
    "BraggScan": "friedel.bcdi.records",
    "CrystalImage": "friedel.bcdi.records",
    "Diffraction": "friedel.bcdi.records",
    "FriedelError": "friedel.core.errors",
    "Frames": "friedel.spi.records",
    "HitScores": "friedel.spi.records",
    "InputError": "friedel.core.errors",
    "Merged": "friedel.spi.merge.merged",
    "Reconstruction": "friedel.bcdi.records",
    "ScanSource": "friedel.bcdi.scans.source",
}

__all__ = [
    "BraggScan",
    "CrystalImage",
    "Diffraction",
    "Frames",
    "FriedelError",
    "HitScores",
    "InputError",
    "Merged",
    "Reconstruction",
    "ScanSource",
    "__version__",
    "analyse",
    "classify",
    "load",
    "load_model",
    "merge",
    "open_frames",
    "predict",
    "prepare",
    "read_scan",
    "reconstruct",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'friedel' has no attribute {name!r}; public names: {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__]
