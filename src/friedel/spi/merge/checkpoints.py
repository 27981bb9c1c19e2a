"""Checkpoints of a march, so that a merge that was killed goes on at the stage it had reached. A stage is a file.

Files belong to one input: their folder's name is a digest of frames, detector, background, options and version.
"""

import hashlib
import shutil
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.files.atomic import replacing
from friedel.spi.orient.march import Model
from friedel.spi.orient.rings import Pixels
from friedel.spi.orient.solve import OrientOptions


class Checkpoints:
    """A `friedel.spi.orient.march.Memory` on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def recall(self, seed: int, stage: int) -> Model | None:
        """Return the model that a stage of a start had left, or None."""
        try:
            with self._path(seed, stage).open("rb") as raw, np.load(raw) as file:
                arrays = {name: torch.from_numpy(file[name]) for name in file.files}
        except (OSError, ValueError, EOFError, BadZipFile):
            return None
        return Model(**arrays)

    def keep(self, seed: int, stage: int, model: Model) -> None:
        """Write what a stage of a start left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(model, name) for name in ("intensity", "profile", "white", "bias")}
        with replacing(self._path(seed, stage)) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **{name: values.cpu().numpy() for name, values in arrays.items() if values is not None})

    def forget(self) -> None:
        """Remove them all: the merge is done."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)

    def _path(self, seed: int, stage: int) -> Path:
        return self.folder / f"start_{seed}_stage_{stage}.npz"


def digest(
    photons: sp.csr_matrix,
    pixels: Pixels,
    options: OrientOptions,
    blank: NDArray[np.float64] | None,
    mask: NDArray[np.int64] | None = None,
) -> str:
    """Return a name that only the same merge has.

    Parameters
    ----------
    photons : csr_matrix
        The frames.
    pixels : Pixels
        The detector.
    options : OrientOptions
        How to orient.
    blank : (n_pixels,), optional
        The background.
    mask : (n_frames,) int, optional
        Which of the pixels' masks each frame has.
    """
    found = hashlib.sha256(f"{__version__} {options}".encode())
    for values in (photons.indptr, photons.indices, photons.data, pixels.q, pixels.weight, blank, mask, pixels.good):
        if values is not None:
            found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()[:24]
