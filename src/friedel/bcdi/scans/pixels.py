"""The pixel pitch of a scan's detector: as stated, as recorded beside the frames, or as the beamline is described.

A beamline changes its detectors: 55 µm for 75 µm scales every length by a third, and no picture shows it.
"""

from fnmatch import fnmatch

import h5py
import numpy as np

from friedel.bcdi.scans.beamline import Beamline
from friedel.bcdi.scans.source import ScanSource
from friedel.core.files.frame_stack import FrameStack
from friedel.core.files.hdf5 import unit_of
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.core.units import in_unit

Pitch = tuple[float, float]
# Of counting and integrating pixel detectors; what lies outside is in another unit.
SMALLEST_M, LARGEST_M = 1e-6, 1e-3
# Pitches closer than this are the same, written with other digits.
SAME = 0.01
_NAMES = (("y_pixel_size", "x_pixel_size"), ("y_pixel_size_1", "x_pixel_size_1"), ("pixel_size", "pixel_size"))


def recorded_pixel_size(entry: h5py.Group, stack: FrameStack) -> Pitch | None:
    """Return what the file records of the detector that took the frames, m; None if it says nothing that can be true.

    Looked for beside the frames (behind their link), in ``instrument/`` under their name, and in NeXus' place.
    """
    place = stack.parts[0].parent
    name = stack.name.rstrip("/*").split("/")
    groups = [place, place.parent, *(entry.get(f"instrument/{word}") for word in (*reversed(name), "detector"))]
    groups += [entry.file.get("entry/instrument/detector")]
    for group in groups:
        for names in _NAMES if isinstance(group, h5py.Group) else ():
            found = [_metres(group.get(word)) for word in names]
            y, x = found[0] or found[1], found[1] or found[0]
            if y is not None and x is not None:
                return y, x
    return None


def pixel_size(
    beamline: Beamline, source: ScanSource, recorded: Pitch | None, frames: str, observer: Observer = silent
) -> Pitch:
    """Return the pitch to use, m, and say where it is from.

    Parameters
    ----------
    beamline : Beamline
        Its description has the usual detector's, and perhaps others' by the frames' path.
    source : ScanSource
        ``pixel_size_m`` goes before all else.
    recorded : (float, float) or None
        From `recorded_pixel_size`.
    frames : str
        Path of the frames in the file.
    observer : Observer
        Hears the pitch, its origin, and a contradiction.
    """
    named = next(
        (p for pattern, p in beamline.detector.pixel_sizes_m.items() if fnmatch(frames.lower(), pattern)), None
    )
    described = named or beamline.detector.pixel_size_m
    origin = f"the beamline's description for {frames}" if named else "the beamline's description"
    if source.pixel_size_m is not None:
        chosen, origin = source.pixel_size_m, "stated with 'pixel_size_m'"
        if recorded is not None and not np.allclose(recorded, chosen, rtol=SAME):
            text = f"the file records pixels of {_words(recorded)}, but {_words(chosen)} is stated with 'pixel_size_m'"
            observer(Warned("pixels", text))
    elif recorded is not None:
        chosen, origin = recorded, "recorded beside the frames"
        if not np.allclose(recorded, described, rtol=SAME):
            text = (
                f"the file records pixels of {_words(recorded)}, the description of {beamline.name} {_words(described)}"
            )
            observer(Warned("pixels", f"{text}; the file's are used (state 'pixel_size_m' if they are wrong)"))
    else:
        chosen = described
    observer(Note("pixels", f"{_words(chosen)}, from {origin}" if "desc" in origin else f"{_words(chosen)}, {origin}"))
    return chosen


def _words(pitch: Pitch) -> str:
    return " × ".join(f"{1e6 * size:.4g}" for size in pitch) + " µm"


def _metres(item: object) -> float | None:
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf" or item.size != 1:
        return None
    value = float(np.ravel(item[()])[0])
    converted = in_unit(value, unit_of(item), "m")
    value = value if converted is None else float(converted)
    value = value * 1e-6 if SMALLEST_M < value * 1e-6 < LARGEST_M else value  # micrometres, without a word of it
    return value if SMALLEST_M < value < LARGEST_M else None
