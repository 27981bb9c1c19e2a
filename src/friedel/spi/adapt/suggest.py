"""Which frames of a run a person should label: typical ones of every group, those between groups, and doubtful ones."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.core.files.atomic import appearing
from friedel.core.observer import Note, Observer, silent
from friedel.spi.adapt.labelled_run import FeatureModel, RunSample, sample_run
from friedel.spi.figures import frame_sheet_figure
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.labels import write_label_sheet
from friedel.spi.hits.clusters import Clusters, find_clusters

SHEET, GALLERY = "labels.csv", "frames.png"
_SAMPLE = 2000  # frames that are grouped: a kind of one frame in a hundred is then in it some twenty times
_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Suggestion:
    """A frame worth a label: its number, its place in the sample, and why."""

    number: int
    row: int
    why: str


def suggest_labels(
    files: FrameFiles, output: Path, model: FeatureModel, *, count: int = 40, seed: int = 0, observer: Observer = silent
) -> list[Suggestion]:
    """Write a sheet of frames to label, and a picture of them, into a folder.

    Parameters
    ----------
    files : FrameFiles
        The run, one file.
    output : Path
        The folder: ``labels.csv`` to fill in, ``frames.png`` to look at while doing so.
    model : FeatureModel
        Describes the frames.
    count : int
        Frames to suggest.
    seed : int
        Seed of the grouping.
    observer : Observer
        Hears what was found.

    Raises
    ------
    InputError
        If the run can't be read, or the files can't be written.
    """
    with appearing(output) as unfinished:
        sample = sample_run(files, model, size=_SAMPLE, observer=observer)
        groups = find_clusters(sample.features, seed=seed)
        chosen = choose(sample, groups, count)
        sizes = ", ".join(f"{size / len(sample.numbers):.0%}" for size in groups.sizes)
        observer(Note("groups", f"{len(groups.centres)} groups among {len(sample.numbers)} frames: {sizes}"))
        write_label_sheet(unfinished / SHEET, [item.number for item in chosen], [item.why for item in chosen])
        rows = [item.row for item in chosen]
        titles = [f"{item.number}\n{item.why}" for item in chosen]
        figure = frame_sheet_figure(sample.frames[rows], titles, mask=sample.mask)
        figure.savefig(unfinished / GALLERY, dpi=_DOTS_PER_INCH)
    return chosen


def choose(sample: RunSample, groups: Clusters, count: int) -> list[Suggestion]:
    """Return up to ``count`` different frames: half typical, a quarter between groups, a quarter doubtful.

    Typical frames come from all groups alike, so that a rare kind is labelled too.
    """
    each = max(1, count // 2 // len(groups.centres))
    doubtful = np.argsort(np.abs(sample.single - 0.5), kind="stable")
    rounds: list[tuple[str, NDArray[np.intp], int]] = [
        (f"group {group}", rows, each) for group, rows in enumerate(groups.representatives(count))
    ]
    rounds += [("between groups", groups.borderline(count), count // 4), ("doubtful", doubtful, count)]
    taken: dict[int, str] = {}
    for why, rows, share in rounds:
        fresh = [row for row in rows.tolist() if row not in taken][: min(share, count - len(taken))]
        taken.update(dict.fromkeys(fresh, why))
    return [Suggestion(int(sample.numbers[row]), row, why) for row, why in taken.items()]
