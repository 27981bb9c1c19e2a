"""What was read of a series of frames, in numbers and in one sentence: where from, how many, which mask, which unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.source import FrameSource
from friedel.spi.records import FrameStatus
from friedel.spi.scores.scored_run import FrameUnit

# Distance of the beam from the middle, as a share of the frame, from which a warning says so.
_OFF_CENTRE = 0.05
# Above this read noise, in photons, the peaks of no photon and of one overlap, and a gain is a tenth off or more.
_NOISY = 0.25


@dataclass(frozen=True, kw_only=True)
class WhatWasRead:
    """The record, the sentence a person reads, and what of it is odd."""

    record: Mapping[str, Any]
    sentence: str
    warnings: tuple[str, ...]


def unit_of(run: Any) -> FrameUnit | None:
    """Return what the frames' numbers mean, by the run's constants; None if they are of another scorer."""
    if not hasattr(run, "pedestal"):
        return None
    names = ("gain", "pedestal", "marks", "counted", "measured", "drifts")
    return FrameUnit(**{name: getattr(run, name) for name in names})


def what_was_read(
    source: FrameSource, mask: NDArray[np.bool_] | None, files: FrameFiles, status: NDArray[np.uint8], run: Any
) -> WhatWasRead:
    """Return the record of one series.

    Parameters
    ----------
    source : FrameSource
        Open.
    mask : (y, x) bool or None
        True where the detector measures, of all masks together.
    files : FrameFiles
        What was asked for.
    status : (n,) uint8
        Of each frame.
    run : RunConstants or anything
        What the frames have in common.
    """
    counts = {
        "expected": source.expected,
        "read": int(source.shape[0]),
        "unreadable": int((status == FrameStatus.UNREADABLE).sum()),
        "blank": int((status == FrameStatus.CONSTANT).sum()),
    }
    masks = _masks(source, mask, files)
    unit, unit_text, warnings = _unit(unit_of(run), run, source.dtype.itemsize == 1)
    centre, centre_text = _centre(source, files, run)
    if centre and centre["from"] == "symmetry" and centre["off"] > _OFF_CENTRE:
        warnings.append(
            f"{centre_text}: {centre['off']:.0%} of the frame off its middle; if that is wrong, say frames.centre"
        )
    lost = counts["expected"] - counts["read"] + counts["unreadable"]
    where = f"{source.path.name}{f', {source.dataset}' if source.dataset else ''}"
    rows, columns = source.shape[1:]
    sentence = f"{where}: {counts['read']} of {counts['expected']} frames of {rows} × {columns}, {source.dtype.name}"
    sentence += f", {lost} lost" if lost else ""
    sentence += (
        f"; {masks['said']}" + (f"; {unit_text}" if unit_text else "") + (f"; {centre_text}" if centre_text else "")
    )
    record = {
        "file": str(source.path), "dataset": source.dataset, "shape": [rows, columns], "dtype": source.dtype.name,
        "frames": counts, "mask": masks, "unit": unit, "centre": centre, "odd": [*source.notes, *warnings],
    }  # fmt: skip
    return WhatWasRead(record=record, sentence=sentence, warnings=tuple(warnings))


def _masks(source: FrameSource, mask: NDArray[np.bool_] | None, files: FrameFiles) -> dict[str, Any]:
    origins = [f"{source.beside.mask} ({source.beside.sense})"] if source.beside.mask else []
    if files.mask is not None:
        origins.append(f"{files.mask.name} (anything but 0 is {files.mask_marks or 'bad'})")
    leaves = 1.0 if mask is None else float(mask.mean())
    said = f"mask {' and '.join(origins)} leaves {leaves:.1%} of the pixels" if origins else "no mask"
    if not origins and mask is not None:
        said = f"no mask but the modules' outline, {leaves:.1%} of the frame"
    return {"from": origins, "leaves": leaves, "said": said}


def _unit(unit: FrameUnit | None, run: Any, eight_bits: bool) -> tuple[dict[str, Any], str, list[str]]:
    if unit is None:
        return {}, "", []
    warnings, noise = [], float(run.read_variance) ** 0.5
    if unit.counted:
        text = "counted photons" if unit.gain == 1 else f"counted photons of {unit.gain:g} each"
    elif unit.measured:
        text = f"detector units, {unit.gain:.4g} a photon, noise of {noise:.2f} photons"
        if noise > _NOISY:
            warnings.append(
                f"the read noise of {noise:.2f} photons hides single ones: the gain of {unit.gain:.4g} is rough, and "
                "so are photon numbers; state emc.adu_per_photon if you know it"
            )
    else:
        text = "detector units"
        warnings.append("too little light to tell how many detector units a photon makes; scores are rough")
    if unit.pedestal:
        text += f" above a pedestal of {unit.pedestal:.5g}"
        warnings.append(
            f"a pedestal of {unit.pedestal:.5g} was found and taken off; subtract the dark yourself if that is wrong"
        )
    if unit.marks:
        text += f", {', '.join(f'{mark:g}' for mark in unit.marks)} taken for no count"
    if unit.drifts:
        text += ", above a pedestal of each frame's own"
        warnings.append("every frame has a pedestal of its own, without light; it was taken off each for the scores")
    if run.clipped:
        again = " or began again from zero" if eight_bits else ""
        text += f", clipped at {run.clipped:g}"
        warnings.append(
            f"bright pixels are clipped at {run.clipped:g}{again}: the light, and photon numbers, of bright frames are "
            "too low"
        )
    record = {
        "clipped at": run.clipped or None, "pedestal of each frame": unit.drifts,
        "counted photons": unit.counted, "gain": unit.gain, "pedestal": unit.pedestal, "read noise": noise,
        "marks": list(unit.marks), "from": "the frames",
    }  # fmt: skip
    return record, text, warnings


def _centre(source: FrameSource, files: FrameFiles, run: Any) -> tuple[dict[str, Any], str]:
    if not hasattr(run, "centre"):
        return {}, ""
    y, x = (value * run.binning for value in run.centre)
    off = max(abs(y - source.shape[1] // 2) / source.shape[1], abs(x - source.shape[2] // 2) / source.shape[2])
    origin = "given" if files.centre else ("the geometry" if source.centre else "symmetry")
    words = {"given": "as given", "the geometry": "by the geometry", "symmetry": "by the pattern's symmetry"}[origin]
    return {"y": y, "x": x, "from": origin, "off": off}, f"beam at row {y}, column {x}, {words}"
