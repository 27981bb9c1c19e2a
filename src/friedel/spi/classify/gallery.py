"""The classification report's pictures: galleries of frames worth a look, and virtual powders."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from friedel.core.statistics import MAD_TO_SIGMA
from friedel.spi.frames.files import FrameFiles
from friedel.spi.records import FrameStatus, HitScores
from friedel.spi.scores.frame_reader import places, read_chosen
from friedel.spi.scores.scored_run import ScoredRun

_POWDER_FRAMES = 256  # read for a mean pattern, whose noise is then 1/16 of a frame's; more take longer to read
_POWDER_PIXELS = 256  # longest side of its picture


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One frame of a gallery: the picture, its place in the run, and its scores in words."""

    uri: str
    name: str
    single: str
    fringes: str
    out_of_distribution: str
    size: str
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
    """Return the surest hits, the least sure frames and those out of distribution.

    Parameters
    ----------
    run : ScoredRun
        The run; its files are read again.
    scores : HitScores
        Of all its frames.
    files : FrameFiles
        How to read its files.
    size : int
        Most frames of a gallery.
    """
    rankings = {
        "Surest hits": ("Selected, in order of their probability.", _surest(run, scores)),
        "Least sure": (
            "In the reject band, the most doubtful first: worth a look, or a label.",
            _doubtful(scores),
        ),
        "Out of distribution": ("Least like anything seen in training, whatever their probability.", _outside(scores)),
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
    rejected = np.flatnonzero(scores.reject_band & (scores.status == FrameStatus.SCORED))
    return rejected[np.argsort(np.abs(scores.single[rejected] - 0.5), kind="stable")]


def _outside(scores: HitScores) -> NDArray[np.intp]:
    outside = np.flatnonzero((scores.out_of_distribution > 1) & (scores.status == FrameStatus.SCORED))
    return outside[np.argsort(-scores.out_of_distribution[outside], kind="stable")]


def _tiles(run: ScoredRun, scores: HitScores, files: FrameFiles, numbers: NDArray[np.intp]) -> dict[int, Tile]:
    tiles = {}
    for index, inside, frames in read_chosen(run, files, places(run, numbers)):
        for number, frame in zip(inside.tolist(), frames, strict=True):
            overall = int(run.starts[index]) + number
            name = f"{number}" if len(run.files) == 1 else f"{run.files[index].path.stem} {number}"
            tiles[overall] = _tile(frame, run.files[index].mask, scores, overall, name)
    return tiles


def _tile(frame: NDArray[Any], mask: NDArray[np.bool_] | None, scores: HitScores, number: int, name: str) -> Tile:
    single, fringes, outside = (
        float(values[number]) for values in (scores.single, scores.fringes, scores.out_of_distribution)
    )
    diameter = float(scores.diameter[number])
    size = "" if np.isnan(diameter) else f"{_short(diameter)} {scores.length_unit}"
    return Tile(
        uri=picture_uri(frame, mask),
        name=name,
        single=f"{single:.1%}",
        fringes=_short(fringes),
        out_of_distribution=_short(outside),
        size=size,
        alt=f"Frame {name}: single with {single:.1%}, fringes {_short(fringes)}, "
        f"out-of-distribution score {_short(outside)}.",
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


# Numbers in the palette's byte: 0 to 254 from dark to bright, 255 for unknown pixels.
_LEVELS = 254
_UNKNOWN = 255
_UNKNOWN_COLOUR = (70, 84, 92)
# Black, violet, red, orange, pale yellow: equal steps in lightness, as in Matplotlib's "inferno".
_ANCHORS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)


def picture_uri(frame: NDArray[Any], mask: NDArray[np.bool_] | None, *, pixels: int = 112) -> str:
    """Return one frame as a PNG data URI.

    Parameters
    ----------
    frame : (y, x)
        Photons or detector units; what isn't finite is drawn as unknown.
    mask : (y, x) bool or None
        True where the detector measures; the rest is drawn as unknown.
    pixels : int
        Longest side of the picture; larger frames are binned.
    """
    image = Image.fromarray(_colour_numbers(_binned(frame, mask, pixels)))
    image.putpalette(_palette())
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=3)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _binned(frame: NDArray[Any], mask: NDArray[np.bool_] | None, pixels: int) -> NDArray[np.float32]:
    """Return the mean of the measured pixels of each square of pixels, NaN where there is none."""
    values = np.asarray(frame, dtype=np.float32)
    known = np.isfinite(values) if mask is None else np.isfinite(values) & mask
    step = -(-max(values.shape) // pixels)
    if step == 1:
        return np.where(known, values, np.float32(np.nan))
    rows, columns = (size // step * step for size in values.shape)
    inner = np.where(known, values, np.float32(0))[:rows, :columns].reshape(rows // step, step, columns // step, step)
    counts = known[:rows, :columns].reshape(inner.shape).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (inner.sum(axis=(1, 3)) / counts).astype(np.float32)


def _colour_numbers(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = np.isfinite(values)
    inside = values[known]
    if inside.size == 0:
        return np.full(values.shape, _UNKNOWN, np.uint8)
    base = float(np.median(inside))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(inside - base)))
    top = float(inside.max())
    # Photon counts have no noise floor: where most pixels are equal, the unit is a photon, or a hundredth of the top.
    unit = noise if noise > 0 else max(min(1.0, (top - base) / 100), 1e-30)
    levels = np.log1p(np.clip(np.where(known, values, base) - base, 0, None) / unit)
    highest = float(np.percentile(levels[known], 99.8)) or float(np.max(levels)) or 1.0
    numbers = np.minimum(levels / highest, 1.0) * _LEVELS
    return np.where(known, numbers, _UNKNOWN).astype(np.uint8)


def _palette() -> bytes:
    places = np.linspace(0, len(_ANCHORS) - 1, _LEVELS + 1)
    colours = [np.interp(places, np.arange(len(_ANCHORS)), _ANCHORS[:, channel]) for channel in range(3)]
    return np.vstack([np.column_stack(colours), _UNKNOWN_COLOUR]).round().astype(np.uint8).tobytes()
