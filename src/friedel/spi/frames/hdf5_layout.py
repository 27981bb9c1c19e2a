"""Where in an HDF5 file the frames are, and which masks lie beside them. Reads names and shapes, no frame."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import good_pixels
from friedel.core.files.damage import DAMAGED
from friedel.core.files.masks import LEAST_LEFT, is_mask_name, marks_good
from friedel.spi.frames.source import natural

NOT_FRAMES = ("gain", "background", "dark", "error", "errors", "support", "data_corr", "photon_energy")
_SMALLEST_IMAGE = 32  # pixels along each of the last two axes: smaller 2D datasets are tables
_STACKED = (3, 4)  # dimensions of stacks: (n, y, x), (n, modules, y, x)
# Names of which the numbers tell parts of one frame, not frames, from each other: SACLA's octal detectors among them.
_PART_OF_A_FRAME = re.compile(r"(detector|panel|module|chip|asic)[^/]*?\d+(?=/|$)", re.IGNORECASE)
_DEEPEST = 8  # levels of groups that are searched; CXI and NeXus keep frames at the fourth or fifth
_MOST_LISTED = 20  # candidates named in an error


def frame_names(file: h5py.File, path: Path, *, modules: bool = False) -> list[str]:
    """Return the datasets that are the run's frames, in order, where no dataset was named.

    The assembled images of each CXI entry, else its data; an EIGER's links; NeXus' data; images of the same kind under
    numbers, as SACLA's tags are; else the only stack of frames, or the only image. With ``modules``, what isn't
    assembled yet comes first.

    Raises
    ------
    InputError
        If there are none, or several of different kinds; they are listed.
    """
    found = _entries(file, modules) or _eiger_parts(file) or _usual(file)
    if found:
        return found
    candidates = [item for item in walk(file) if is_frames(item[1])]
    stacks = [item for item in candidates if item[1].ndim in _STACKED]
    for chosen in (stacks, [item for item in candidates if item[1].ndim == 2]):
        if len(chosen) > 1 and _one_series(chosen):
            _require_one_detector([name for name, _ in chosen], path)
        if len(chosen) == 1 or (len(chosen) > 1 and _one_series(chosen)):
            return sorted((name for name, _ in chosen), key=natural)
        if chosen:
            listing = _listing(chosen)
            raise InputError(f"{path}: holds several {_kind(chosen)} datasets; choose one with --dataset: {listing}")
    raise InputError(f"{path}: holds no 3D dataset of frames (n, y, x); it holds {_listing(list(walk(file)))}")


def named_frames(file: h5py.File, path: Path, name: str) -> list[str]:
    """Return the datasets that a name means: a path, an EIGER's group, or a pattern with ``*``.

    Raises
    ------
    InputError
        If there is no such dataset, or it isn't frames.
    """
    name = name.strip("/")
    if "*" in name:
        matching = [found for found, item in walk(file) if fnmatch.fnmatch(found, name) and is_frames(item)]
        if matching:
            return sorted(matching, key=natural)
    item = get(file, name)
    if isinstance(item, h5py.Group):
        inside = [f"{name}/{part}" for part in sorted(item, key=natural) if re.fullmatch(r"data(_\d+)?", part)]
        inside = [part for part in inside if is_frames(get(file, part))]
        if inside:
            return inside
    if not isinstance(item, h5py.Dataset):
        frames = [found for found in walk(file) if is_frames(found[1])]
        raise InputError(f"{path}: no dataset {name!r}; its 3D datasets: {_listing(frames)}")
    if not is_frames(item):
        raise InputError(f"{path}: {name} is {item.dtype} of shape {item.shape}, not frames (n, y, x) of numbers")
    return [name]


def pattern_of(names: Sequence[str]) -> str:
    """Return the name, or the pattern with ``*`` that stands for several names of one kind."""
    if len(names) == 1:
        return names[0]
    parts = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    return "".join(each[0] if len(set(each)) == 1 else "*" for each in parts)


def no_frames(name: str) -> bool:
    """Tell whether an array's name says that it isn't a run's frames."""
    return name.rpartition("/")[2].lower() in NOT_FRAMES or is_mask_name(name)


def is_frames(item: Any, *, images: bool = True) -> bool:
    """Say whether something in a file can be frames: ``(n, y, x)``, ``(n, modules, y, x)``, or one image ``(y, x)``."""
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or not 2 <= item.ndim <= 4:
        return False
    if no_frames(str(item.name)) or min(item.shape[-2:]) < 2:
        return False
    return item.ndim > 2 or (images and min(item.shape) >= _SMALLEST_IMAGE)


def get(group: h5py.Group, name: str) -> Any:
    """Return what is under a name; None if nothing is, it is damaged, or a link leads nowhere."""
    try:
        return group.get(name)
    except DAMAGED:
        return None


def walk(group: h5py.Group, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield path and dataset of all below a group, in order, through links too; damaged ones are passed over."""
    for name in group:
        item = get(group, name)
        if isinstance(item, h5py.Dataset):
            yield f"{prefix}{name}", item
        elif isinstance(item, h5py.Group) and depth < _DEEPEST:
            yield from walk(item, f"{prefix}{name}/", depth + 1)


def _entries(file: h5py.File, modules: bool) -> list[str]:
    names = sorted((name for name in file if re.fullmatch(r"entry_\d+", name)), key=natural)
    found = []
    for name in names:
        usual = [f"{name}/image_1/data", f"{name}/data_1/data", f"{name}/instrument_1/detector_1/data"]
        usual = usual[1:] + usual[:1] if modules else usual
        frames = next((path for path in usual if is_frames(get(file, path))), None)
        if frames is not None:
            found.append(frames)
    return found


def _eiger_parts(file: h5py.File) -> list[str]:
    for group in ("entry/data", "entry"):
        item = get(file, group)
        names = [name for name in item if re.fullmatch(r"data_\d+", name)] if isinstance(item, h5py.Group) else []
        found = [f"{group}/{name}" for name in sorted(names, key=natural)]
        if any(is_frames(get(file, path)) for path in found):
            return [path for path in found if is_frames(get(file, path))]
    return []


def _usual(file: h5py.File) -> list[str]:
    usual = ("entry/data/data", "entry/instrument/detector/data", "data/data", "data")
    return next(([path] for path in usual if is_frames(get(file, path))), [])


def missing_links(file: h5py.File, names: Sequence[str]) -> list[str]:
    """Return the numbered neighbours of linked datasets whose file isn't there."""
    if not names or not re.search(r"data_\d+$", names[0]):
        return []
    group = names[0].rpartition("/")[0]
    return [
        f"{group}/{name}" for name in file[group] if re.fullmatch(r"data_\d+", name) and get(file[group], name) is None
    ]


def _one_series(found: Sequence[tuple[str, h5py.Dataset]]) -> bool:
    """Say whether datasets are pieces of one run: the same shape but for the numbers in their names."""
    names = {re.sub(r"\d+", "#", name) for name, _ in found}
    shapes = {(item.ndim, item.shape[-2:], item.dtype.str) for _, item in found}
    return len(names) == 1 and len(shapes) == 1


def _require_one_detector(names: Sequence[str], path: Path) -> None:
    """Raise InputError if names differ by a detector's or a panel's number: each holds a part of every frame."""
    parts = [_PART_OF_A_FRAME.search(name) for name in names]
    panels = sorted({part[0] for part in parts if part is not None}, key=natural)
    if len(panels) > 1:
        example = next(name for name in names if panels[0] in name)
        pattern = re.sub(r"\d+(?=[^\d/]*(/[^/]*)?$)", "*", example)
        raise InputError(
            f"{path}: its frames are in {len(panels)} parts, {', '.join(panels[:8])}, that aren't put together; choose "
            f"one with --dataset '{pattern}', or write whole frames"
        )


def _kind(found: Sequence[tuple[str, h5py.Dataset]]) -> str:
    return f"{found[0][1].ndim}D"


def _listing(found: Sequence[tuple[str, h5py.Dataset]]) -> str:
    named = [f"{name} {item.shape} {item.dtype}" for name, item in found[:_MOST_LISTED]]
    return "; ".join(named) or "nothing"


def mask_names(file: h5py.File, frames: str, shape: tuple[int, ...]) -> list[str]:
    """Return the masks that fit frames of a shape ``(n, …)`` and lie nearest to them: of one image, or of each."""
    fitting = []
    entry = frames.split("/")[0]
    inside = get(file, entry) if "/" in frames else file
    prefix = f"{entry}/" if "/" in frames else ""
    for name, item in walk(inside, prefix) if isinstance(inside, h5py.Group) else ():
        if is_mask_name(name) and item.dtype.kind in "buif" and _fits(item.shape, shape):
            fitting.append(name)
    if not fitting:
        return []
    nearest = max(_common(name, frames) for name in fitting)
    return [name for name in fitting if _common(name, frames) == nearest]


def misfits(file: h5py.File, frames: str, shape: tuple[int, ...]) -> list[str]:
    """Return the masks right beside frames that can't be used, and why: another shape, no numbers, a dangling link."""
    group, said = file[frames].parent, []
    for name in filter(is_mask_name, group):
        item = get(group, name)
        if item is None:
            said.append(f"{name}, a link that leads nowhere,")
        elif isinstance(item, h5py.Dataset) and item.dtype.kind not in "buif":
            said.append(f"{name}, which holds no numbers,")
        elif isinstance(item, h5py.Dataset) and not _fits(item.shape, shape):
            said.append(f"{name} {item.shape}")
    return said


def _fits(mask: tuple[int, ...], frames: tuple[int, ...]) -> bool:
    return mask in (frames, frames[1:], (1, *frames[1:]))


def _common(name: str, other: str) -> int:
    pairs = zip(name.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(name.count("/"), other.count("/")))


def good_from(values: NDArray[Any], name: str, meaning: str | None = None) -> NDArray[np.bool_]:
    """Return True where a mask of a file lets the detector measure: CXI's bits, else anything but 0 is bad.

    Masks by names like ``good_pixels`` mark the good ones; a stated meaning, "good" or "bad", goes before all this.
    """
    plain = name.rpartition("/")[2].lower()
    if marks_good(name):
        return np.asarray(values == 0 if meaning == "bad" else values != 0)
    good = good_pixels(values) if values.dtype.kind in "iu" and plain in ("mask", "mask_shared") else values == 0
    return np.asarray(~good if meaning == "good" else good)


def sense_of(names: Sequence[str], meaning: str | None) -> str:
    """Return what is said of the sense in which masks were read."""
    senses = [meaning or ("good" if marks_good(name) else "bad") for name in names]
    if len(set(senses)) == 1:
        return f"anything but 0 is {senses[0]}"
    return "anything but 0 is " + ", ".join(f"{one} in {name}" for name, one in zip(names, senses, strict=True))


def require_sense(good: NDArray[np.bool_], name: str, path: Path, option: str) -> None:
    """Raise InputError if a mask leaves so little that it may be meant the other way round.

    Parameters
    ----------
    good : (y, x) or (n, y, x) bool
        The mask, or those of some frames, True where the detector would measure.
    name : str
        Its name inside the file.
    path : Path
        The file, for the message.
    option : str
        The option that says what the mask means.
    """
    left = float(good.mean())
    if left < LEAST_LEFT:
        read, other = ("good", "bad") if marks_good(name) else ("bad", "good")
        raise InputError(
            f"{path}: its mask {name} leaves {left:.1%} of the pixels (anything but 0 is {read}); does it mark {other} "
            f"ones? Say --set {option}={other}, or --set {option}={read} if it is right"
        )
