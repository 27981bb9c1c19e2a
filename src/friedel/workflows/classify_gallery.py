"""The classification report's pictures: galleries of frames worth a look, and virtual powders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.io.frame_files import FrameFiles
from friedel.io.scored_run import ScoredRun
from friedel.records.hits import FrameStatus, HitScores
from friedel.workflows.frame_pictures import picture_uri
from friedel.workflows.frame_reader import places, read_chosen

_POWDER_FRAMES = 256
_POWDER_PIXELS = 256


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One frame of a gallery: the picture, its place in the run, and its scores in words."""

    uri: str
    name: str
    single: str
    fringes: str
    strange: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Frames that have something in common."""

    title: str
    caption: str
    tiles: Sequence[Tile]


@dataclass(frozen=True, kw_only=True)
class Powder:
    """The mean of many frames."""

    title: str
    caption: str
    uri: str


def galleries(run: ScoredRun, scores: HitScores, files: FrameFiles, *, size: int) -> list[Gallery]:
    """Return the surest hits, the least sure frames and the odd ones, up to ``size`` of each, where there are any."""
    rankings = {
        "Surest hits": ("Selected, in order of their probability.", _surest(run, scores)),
        "Least sure": (
            "In the unsure band, the most doubtful first: worth a look, or a label.",
            _doubtful(scores),
        ),
        "Odd frames": ("Least like anything seen in training, whatever their probability.", _odd(scores)),
    }
    wanted = {title: ranking[:size] for title, (_, ranking) in rankings.items()}
    tiles = _tiles(run, scores, files, np.unique(np.concatenate(list(wanted.values()))))
    return [
        Gallery(title=title, caption=rankings[title][0], tiles=[tiles[int(number)] for number in numbers])
        for title, numbers in wanted.items()
        if numbers.size
    ]


def _surest(run: ScoredRun, scores: HitScores) -> NDArray[np.intp]:
    chosen = np.flatnonzero(run.selected)
    return chosen[np.lexsort((-scores.fringes[chosen], -scores.single[chosen]))]


def _doubtful(scores: HitScores) -> NDArray[np.intp]:
    unsure = np.flatnonzero(scores.unsure & (scores.status == FrameStatus.SCORED))
    return unsure[np.argsort(np.abs(scores.single[unsure] - 0.5), kind="stable")]


def _odd(scores: HitScores) -> NDArray[np.intp]:
    odd = np.flatnonzero((scores.strange > 1) & (scores.status == FrameStatus.SCORED))
    return odd[np.argsort(-scores.strange[odd], kind="stable")]


def _tiles(run: ScoredRun, scores: HitScores, files: FrameFiles, numbers: NDArray[np.intp]) -> dict[int, Tile]:
    tiles = {}
    for index, inside, frames in read_chosen(run, files, places(run, numbers)):
        for number, frame in zip(inside.tolist(), frames, strict=True):
            overall = int(run.starts[index]) + number
            name = f"{number}" if len(run.files) == 1 else f"{run.files[index].path.stem} {number}"
            tiles[overall] = _tile(frame, run.files[index].mask, scores, overall, name)
    return tiles


def _tile(frame: NDArray[Any], mask: NDArray[np.bool_] | None, scores: HitScores, number: int, name: str) -> Tile:
    single, fringes, strange = (float(values[number]) for values in (scores.single, scores.fringes, scores.strange))
    return Tile(
        uri=picture_uri(frame, mask),
        name=name,
        single=f"{single:.1%}",
        fringes=_short(fringes),
        strange=_short(strange),
        alt=f"Frame {name}: single with {single:.1%}, fringes {_short(fringes)}, strangeness {_short(strange)}.",
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def powders(run: ScoredRun, scores: HitScores, files: FrameFiles) -> list[Powder]:
    """Return the mean of up to 256 selected frames and of as many rejected ones, evenly along the run."""
    scored = scores.status == FrameStatus.SCORED
    kinds = {"Selected frames": run.selected, "Rejected frames": scored & ~run.selected}
    found = [_powder(run, files, title, kind) for title, kind in kinds.items() if kind.any()]
    return [powder for powder in found if powder is not None]


def _powder(run: ScoredRun, files: FrameFiles, title: str, kind: NDArray[np.bool_]) -> Powder | None:
    numbers = np.flatnonzero(kind)
    even = numbers[np.unique(np.linspace(0, len(numbers) - 1, _POWDER_FRAMES).round().astype(int))]
    picked = places(run, even)
    shape = run.files[picked[0][0]].shape[1:]
    total, counts, mask = np.zeros(shape), np.zeros(shape), run.files[picked[0][0]].mask
    n_frames = 0
    for index, _, frames in read_chosen(run, files, picked):
        if run.files[index].shape[1:] == shape:  # of mixed sizes, the first stands for all
            n_frames += len(frames)
            _add(frames, total, counts)
    mean = np.divide(total, counts, out=np.full(shape, np.nan), where=counts > 0)
    caption = f"Mean of {n_frames} frames, evenly along the run."
    return Powder(title=title, caption=caption, uri=picture_uri(mean, mask, pixels=_POWDER_PIXELS))


def _add(frames: NDArray[Any], total: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
    if frames.dtype.kind == "f":
        known = np.isfinite(frames)
        total += np.where(known, frames, 0).sum(axis=0, dtype=np.float64)
        counts += known.sum(axis=0)
    else:
        total += frames.sum(axis=0, dtype=np.uint64 if frames.dtype.kind == "u" else np.int64)
        counts += len(frames)
