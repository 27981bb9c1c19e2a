"""Scores as HDF5 (for programs) and CSV (for spreadsheets), and back from HDF5."""

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.files.damage import readable, require_file
from friedel.spi.frames.detector_images import read_mask
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.source import open_source
from friedel.spi.records import SIZES, FrameStatus, HitScores
from friedel.spi.scores.scored_run import SCORE, ScoredFile, ScoredRun, pack_scores, unpack_scores

MEANINGS = {
    "single": "probability that one particle alone made the pattern, 0 to 1",
    "blank": "probability that the frame shows the run's background alone, 0 to 1",
    "fringes": "signal-to-noise ratio of the fringes",
    "out_of_distribution": "how unlike anything seen in training; 1 at the training data's 99th percentile",
    "diameter": "of the sphere whose projection has the particle's area; NaN where no size was measured",
    "diameter_error": "standard deviation of the diameter",
    "fluence": "photons/µm² at the particle where lengths are nm, else photons a pixel along the beam",
    "asphericity": "1 - short / long axis of the particle's projected outline",
    "unround": "standard deviations by which the pattern isn't a round one",
    "reject_band": "1 where the model errs too often to decide alone",
    "good": "1 in the model's default selection",
    "status": "; ".join(f"{status.value} {status.name.lower()}" for status in FrameStatus),
}
_CSV_ROWS = 65536  # formatted at a time, some 10 MB of text


def write_scores_hdf5(path: Path, run: ScoredRun, *, about: Mapping[str, str] | None = None) -> None:
    """Write one dataset a score under ``/scores``, ``(n,)`` each, with the frame's file and its number in it.

    Parameters
    ----------
    path : Path
        The file.
    run : ScoredRun
        What to write.
    about : mapping, optional
        Texts kept as attributes of the file: plan and versions.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        file.attrs.update({"model": run.model, **(about or {})})
        group = file.create_group("scores")
        scores = run.scores
        packed = pack_scores(scores)
        for name, meaning in MEANINGS.items():
            group.create_dataset(name, data=packed[name]).attrs["long_name"] = meaning
        units = {"diameter": scores.length_unit, "diameter_error": scores.length_unit}
        units["fluence"] = "photons/um^2" if scores.length_unit == "nm" else "photons"
        for name, unit in units.items():
            group[name].attrs["units"] = unit
        group["selected"] = run.selected.astype(np.uint8)
        group["selected"].attrs["long_name"] = "1 where the frame was selected"
        _write_places(file, group, run)
        file.flush()
        image = file.id.get_file_image()
    # Assembled in memory, because HDF5 brings the interpreter down when the disk fills up under an open file.
    path.write_bytes(image)


def _write_places(file: h5py.File, group: h5py.Group, run: ScoredRun) -> None:
    lengths = [len(item.scores) for item in run.files]
    group["file"] = np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)
    group["file"].attrs["long_name"] = "number of the file in /files"
    group["frame"] = _numbers(lengths)
    group["frame"].attrs["long_name"] = "number of the frame in its file"
    file["files/path"] = [str(item.path) for item in run.files]
    file["files/dataset"] = [item.dataset for item in run.files]


def _numbers(lengths: list[int]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])


def read_scores(path: str | Path) -> HitScores:
    """Read the scores that `write_scores_hdf5` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged or holds no scores.
    """
    path = Path(path)
    require_file(path)
    with readable(path), h5py.File(path, "r") as file:
        packed = np.empty(file["scores/single"].shape, SCORE)
        for name in MEANINGS:
            # Earlier versions' files lack the newest scores.
            packed[name] = file["scores"][name][()] if name in file["scores"] or name not in SIZES else np.nan
        unit = str(file["scores/diameter"].attrs["units"])
        return replace(unpack_scores(packed, str(file.attrs["model"])), length_unit=unit)


def read_scored_run(path: Path, files: FrameFiles) -> ScoredRun:
    """Read the scores that `write_scores_hdf5` wrote, with the frames' files opened anew.

    Parameters
    ----------
    path : Path
        The scores.
    files : FrameFiles
        How to read the run's files: dataset, geometry, mask.

    Raises
    ------
    InputError
        If the scores are missing or damaged, or a file has gone.
    """
    scores = read_scores(path)
    with readable(path), h5py.File(path, "r") as file:
        paths = [Path(text) for text in file["files/path"].asstr()[()]]
        places, selected = file["scores/file"][()], file["scores/selected"][()].astype(bool)
    given = None if files.mask is None else read_mask(files.mask, dataset=files.mask_dataset, marks=files.mask_marks)
    packed = pack_scores(scores)
    found = [_reopened(item, packed[places == number], files, given) for number, item in enumerate(paths)]
    return ScoredRun(files=tuple(found), selected=selected, model=scores.model, length_unit=scores.length_unit)


def _reopened(path: Path, packed: NDArray[Any], files: FrameFiles, given: NDArray[np.bool_] | None) -> ScoredFile:
    with closing(open_source(path, files.options)) as source:
        mask = source.mask if given is None else given if source.mask is None else given & source.mask
        return ScoredFile(
            path=path,
            dataset=source.dataset,
            shape=source.shape,
            dtype=source.dtype.str,
            scores=packed,
            mask=mask,
            linkable=source.linkable,
        )


def write_scores_csv(path: Path, run: ScoredRun) -> None:
    """Write one line a frame: file, frame, the scores, whether selected, and the status in a word.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    words = {status.value: status.name.lower() for status in FrameStatus}
    whole = run.scores
    packed, unit = pack_scores(whole), whole.length_unit
    flux = "photons_per_um2" if unit == "nm" else "forward_photons"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(
            f"file,frame,single,blank,fringes,out_of_distribution,diameter_{unit},diameter_error_{unit},{flux},asphericity,"
            "unround,reject_band,good,selected,status\n"
        )
        for index, start in enumerate(run.starts):
            name = '"' + str(run.files[index].path).replace('"', '""') + '"'
            stop = start + len(run.files[index].scores)
            for first in range(start, stop, _CSV_ROWS):
                part = slice(first, min(first + _CSV_ROWS, stop))
                rows = zip(packed[part].tolist(), run.selected[part].tolist(), strict=True)
                lines = enumerate(rows, first - start)
                file.writelines(_line(name, number, row, chosen, words) for number, (row, chosen) in lines)


def _line(name: str, number: int, row: tuple[Any, ...], chosen: bool, words: Mapping[int, str]) -> str:
    single, blank, fringes, outside, *size, rejected, good, status = row
    # An empty field where there is no size: most frames have none.
    sizes = ",".join("" if math.isnan(value) else f"{value:.5g}" for value in size)
    scores = f"{single:.6f},{blank:.6f},{fringes:.5g},{outside:.5g}"
    return f"{name},{number},{scores},{sizes},{rejected},{good},{chosen:d},{words[status]}\n"
