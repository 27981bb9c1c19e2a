"""A run as adapting needs it: an even sample of its frames and some chosen ones, with a model's features of them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.observer import Observer, Progress, silent
from friedel.spi.frames.detector_images import read_mask, require_fit
from friedel.spi.frames.files import FrameFiles, list_files
from friedel.spi.frames.source import FrameSource, open_source, read_batch
from friedel.spi.records import FrameStatus, HitScores

_SAMPLE_BYTES = 512 << 20  # of the frames held in memory at once; of larger frames there are fewer


class FeatureModel(Protocol):
    """What scores frames and describes them: `friedel.spi.hits.model.HitModel`, or anything alike."""

    def score(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> HitScores:
        """Score frames ``(n, y, x)``; ``mask`` is True where the detector measures."""

    def features(self, frames: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        """Describe frames by the numbers that the model's last step decides on, ``(n, d)``."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunSample:
    """Some frames of a run, by rising number; only those that the model can score.

    Attributes
    ----------
    numbers : (n,) int64
        Their numbers in the run.
    frames : (n, y, x)
        As stored.
    mask : (y, x) bool or None
        True where the detector measures.
    features : (n, d) float32
        The model's.
    single : (n,) float32
        The model's probability of a single hit.
    """

    numbers: NDArray[np.int64]
    frames: NDArray[Any]
    mask: NDArray[np.bool_] | None
    features: NDArray[np.float32]
    single: NDArray[np.float32]

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return where frames of these numbers are in the sample.

        Raises
        ------
        InputError
            If one of them has no score: masked, constant or unreadable.
        """
        missing = np.setdiff1d(numbers, self.numbers)
        if missing.size:
            raise InputError(
                f"frame {missing[0]} can't be used: nothing of it was measured, all its pixels are equal or its bytes "
                "are damaged; take it out of the labels"
            )
        return np.searchsorted(self.numbers, numbers)


def single_file(files: FrameFiles) -> Path:
    """Return the one file that frames are numbered in.

    Raises
    ------
    InputError
        If the paths mean several.
    """
    found = list_files(files.paths)
    if len(found) != 1:
        raise InputError(f"labels number the frames of one file, but {len(found)} are named; give one of them")
    return found[0]


def count_frames(files: FrameFiles) -> int:
    """Return the number of frames in the run."""
    with closing(open_source(single_file(files), files.options)) as source:
        return source.shape[0]


def sample_run(
    files: FrameFiles,
    model: FeatureModel,
    *,
    size: int,
    also: Sequence[int] | NDArray[np.int64] = (),
    observer: Observer = silent,
) -> RunSample:
    """Return an even sample of a run, with some frames in any case.

    The sample is bounded in bytes too: a few frames of a large detector tell as much as many of a small one.

    Parameters
    ----------
    files : FrameFiles
        The run: one file.
    model : FeatureModel
        Scores and describes frames.
    size : int
        Frames of the even sample.
    also : sequence of int
        Numbers of frames that are taken in any case.
    observer : Observer
        Hears progress.
    """
    path = single_file(files)
    given = None if files.mask is None else read_mask(files.mask, dataset=files.mask_dataset, marks=files.mask_marks)
    with closing(open_source(path, files.options)) as source:
        if given is not None:
            require_fit(given, source.shape, mask_path=files.mask or path, frames_path=path)
        mask = given if source.mask is None else source.mask if given is None else given & source.mask
        numbers, frames = _read(source, _numbers(source, size, also), observer)
    scores = model.score(frames, mask)
    fit = scores.status == FrameStatus.SCORED
    if not fit.any():
        raise InputError(f"{path}: none of the {len(frames)} frames sampled can be scored; check dataset and mask")
    return RunSample(
        numbers=numbers[fit],
        frames=frames[fit],
        mask=mask,
        features=model.features(frames[fit], mask),
        single=scores.single[fit],
    )


def _numbers(source: FrameSource, size: int, also: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    n, height, width = source.shape
    affordable = max(_SAMPLE_BYTES // max(height * width * source.dtype.itemsize, 1), 64)
    even = np.linspace(0, n - 1, min(n, size, affordable)).round().astype(np.int64)
    return np.union1d(even, np.asarray(also, dtype=np.int64))


def _read(
    source: FrameSource, numbers: NDArray[np.int64], observer: Observer
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    found, readable = [], []
    for done, number in enumerate(numbers.tolist()):
        batch = read_batch(source, number, number + 1)
        if not batch.unreadable[0]:
            found.append(batch.frames[0])
            readable.append(number)
        observer(Progress("reading frames", done + 1, len(numbers)))
    if not found:
        raise InputError(f"{source.path}: no frame of it can be read")
    return np.array(readable, dtype=np.int64), np.stack(found)
