"""Neural coherent X-ray imaging: from raw diffraction to a picture you can trust.

The public names load on first use, so that `import friedel` and the command line stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from friedel._version import __version__

if TYPE_CHECKING:
    from friedel.hits.model import classify, load_model
    from friedel.records import BraggScan, Diffraction, HitScores, Reconstruction
    from friedel.workflows.predict import predict
    from friedel.workflows.reconstruct import reconstruct

_HOMES = {
    "classify": "friedel.hits.model",
    "load_model": "friedel.hits.model",
    "predict": "friedel.workflows.predict",
    "reconstruct": "friedel.workflows.reconstruct",
    "BraggScan": "friedel.records",
    "Diffraction": "friedel.records",
    "HitScores": "friedel.records",
    "Reconstruction": "friedel.records",
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
