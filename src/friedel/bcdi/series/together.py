"""The crystals of a series in one frame: each aligned to the one whose size is the median, fields on its grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.results.volumes import Volumes, read_volumes
from friedel.bcdi.strain.align import Alignment, align


@dataclass(frozen=True, eq=False, kw_only=True)
class Together:
    """Crystals in one frame.

    Attributes
    ----------
    names : tuple of str
        Of the scans, in order.
    reference : str
        The scan on whose grid they are.
    alignments : tuple of Alignment
        How each was moved.
    amplitude : (n, y, x) float32
        Slices across z through the reference's middle, relative to the maximum.
    strain : (n, y, x) float32 or None
        The same of the strain; NaN outside.
    step_nm : float or None
        Edge of a voxel.
    """

    names: tuple[str, ...]
    reference: str
    alignments: tuple[Alignment, ...]
    amplitude: NDArray[np.float32]
    strain: NDArray[np.float32] | None
    step_nm: float | None

    @property
    def correlations(self) -> NDArray[np.float64]:
        """Correlation of each crystal with the reference, ``(n,)``."""
        return np.array([one.correlation for one in self.alignments])


def seen_together(folders: Sequence[Path]) -> Together:
    """Read the results in some folders and align them; one volume at a time is in memory beside the reference.

    Raises
    ------
    InputError
        If a result can't be read.
    """
    sizes = [int(read_volumes(folder / "reconstruction.cxi", pattern=False).inside.sum()) for folder in folders]
    middle = int(np.argsort(sizes)[len(sizes) // 2])
    fixed = read_volumes(folders[middle] / "reconstruction.cxi", pattern=False)
    target, shape = _object(fixed), fixed.inside.shape
    cut = round(float(np.nonzero(fixed.inside)[0].mean()))
    found, amplitudes, strains = [], [], []
    for folder in folders:
        moving = read_volumes(folder / "reconstruction.cxi", pattern=False)
        scale = fixed.step_m / moving.step_m if fixed.step_m and moving.step_m else 1.0
        how = align(_object(moving), target, scale=scale)
        found.append(how)
        amplitudes.append(np.abs(how.field(_object(moving), shape))[cut])
        if "strain" in moving.quantities:
            strains.append(how.scalar(moving.quantities["strain"], shape)[cut])
    largest = max(float(a.max()) for a in amplitudes) or 1.0
    return Together(
        names=tuple(folder.name for folder in folders),
        reference=folders[middle].name,
        alignments=tuple(found),
        amplitude=np.array(amplitudes, dtype=np.float32) / largest,
        strain=np.array(strains, dtype=np.float32) if len(strains) == len(folders) else None,
        step_nm=None if fixed.step_m is None else fixed.step_m * 1e9,
    )


def _object(volumes: Volumes) -> NDArray[np.complex64]:
    return np.asarray(np.where(volumes.inside, volumes.object, 0), dtype=np.complex64)
