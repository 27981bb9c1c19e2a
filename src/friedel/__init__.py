"""Neural coherent X-ray imaging: from raw diffraction to a picture you can trust.

The public names load on first use, so that `import friedel` and the command line stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from friedel._version import __version__

if TYPE_CHECKING:
    from friedel.bcdi.predict import predict
    from friedel.bcdi.reconstruct import reconstruct
    from friedel.bcdi.records import BraggScan, Diffraction, Reconstruction
    from friedel.spi.hits.model import classify, load_model
    from friedel.spi.records import HitScores

_HOMES = {
    "classify": "friedel.spi.hits.model",
    "load_model": "friedel.spi.hits.model",
    "predict": "friedel.bcdi.predict",
    "reconstruct": "friedel.bcdi.reconstruct",
    "BraggScan": "friedel.bcdi.records",
    "Diffraction": "friedel.bcdi.records",
    "HitScores": "friedel.spi.records",
    "Reconstruction": "friedel.bcdi.records",
}

__all__ = [
    "BraggScan",
    "Diffraction",
    "HitScores",
    "Reconstruction",
    "__version__",
    "classify",
    "load_model",
    "predict",
    "reconstruct",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'friedel' has no attribute {name!r}; public names: {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)
