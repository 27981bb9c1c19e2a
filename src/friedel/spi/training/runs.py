"""The runs a model learns from: simulate those that are missing, and read what every frame is. Reads no frame."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.machine.cluster import ClusterOptions, dask_client, in_any_order
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.core.training.libraries import first_process, wait_until
from friedel.spi.forward.domain_randomisation import draw_experiment
from friedel.spi.frames.detector_images import read_mask
from friedel.spi.frames.labels import read_labels
from friedel.spi.frames.source import open_frames
from friedel.spi.simulation.layout import read_truth
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import Setup, simulate_hits, write_run
from friedel.spi.training.plan import DomainRandomisationOptions, LabelledFile, TrainingData

TASK = "simulating experiments"
_MADE_WITH = "experiments.json"
_CHUNK = 32  # frames simulated at once, at the most: bounds the memory of a worker


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRun:
    """A run's frames to learn from.

    Attributes
    ----------
    file : LabelledFile
        Where they are.
    rows : (k,) int
        The frames chosen, rising.
    single : (k,) bool
        Their labels.
    mask : (y, x) bool or None
        True where the detector measures; None: everywhere.
    """

    file: LabelledFile
    rows: NDArray[np.intp]
    single: NDArray[np.bool_]
    mask: NDArray[np.bool_] | None


def training_files(
    data: TrainingData, folder: Path, *, fresh: bool = False, observer: Observer = silent
) -> list[LabelledFile]:
    """Return the files to learn from, having simulated what isn't there yet.

    Parameters
    ----------
    data : TrainingData
        What to learn from.
    folder : Path
        For what is simulated.
    fresh : bool
        Replace frames that another plan or version left there.
    observer : Observer
        Hears progress.

    Raises
    ------
    InputError
        If a simulation can't be made or written, or another plan's lies there.
    """
    simulations = [folder / f"simulation_{number:03d}.cxi" for number in range(len(data.simulations))]
    experiments = (
        [] if data.domain_randomisation is None else [_place(folder, n) for n in range(data.domain_randomisation.count)]
    )
    made = [*simulations, *experiments]
    if first_process():
        folder.mkdir(parents=True, exist_ok=True)
        for path, plan in zip(simulations, data.simulations, strict=True):
            _simulate(plan, path, fresh, observer)
        if data.domain_randomisation is not None:
            _keep_only(data.domain_randomisation, folder, fresh)
            _simulate_experiments(experiments, data.domain_randomisation, data.cluster, observer)
    else:
        wait_until(lambda: all(path.exists() for path in made), f"the simulated frames in {folder}")
    return [*data.files, *(LabelledFile(path=path) for path in made)]


def labelled_run(file: LabelledFile, data: TrainingData) -> LabelledRun:
    """Read a run's labels and choose its frames.

    Raises
    ------
    InputError
        If the file can't be read, labels don't fit its frames, or what a frame shows isn't known but asked for.
    """
    with open_frames(file.path, dataset=file.dataset) as source:
        n_frames, mask = source.shape[0], source.mask
        if file.mask is not None:
            given = read_mask(file.mask)
            if given.shape != source.shape[1:]:
                raise InputError(f"{file.mask}: mask {given.shape} doesn't fit frames of {source.shape[1:]}")
            mask = given if mask is None else mask & given
    single = _labels(file, n_frames)
    if single.shape != (n_frames,):
        raise InputError(
            f"{file.labels or file.path}: {single.shape} labels for {n_frames} frames; one for each is needed"
        )
    if not np.isin(single, (0, 1, _UNLABELLED)).all():
        raise InputError(f"{file.labels or file.path}: labels are 1 (single hit) or 0, got {np.unique(single)[:5]}")
    rows = np.flatnonzero(_chosen(file.path, data, n_frames) & (single != _UNLABELLED))
    return LabelledRun(file=file, rows=rows, single=single[rows].astype(bool), mask=mask)


_UNLABELLED = -1  # marks frames without a label, which take no part


def _labels(file: LabelledFile, n_frames: int) -> NDArray[np.generic]:
    """Return 1 for single hits, 0 for others, −1 for frames without a label, ``(n,)``."""
    if file.labels is None:
        return read_truth(file.path, "single")
    try:
        if file.labels.suffix != ".npy" and "label" in file.labels.read_text(encoding="utf-8-sig").lower():
            table = read_labels(file.labels, n_frames=n_frames)
            single = np.full(n_frames, _UNLABELLED)
            single[table.frames] = table.single
            return single
        if file.labels.suffix == ".npy":
            return np.asarray(np.load(file.labels, allow_pickle=False))
        return np.loadtxt(file.labels, ndmin=1)
    except (OSError, ValueError) as error:
        raise InputError(f"{file.labels}: labels can't be read ({error}); one number a line, or .npy") from error


def _chosen(path: Path, data: TrainingData, n_frames: int) -> NDArray[np.bool_]:
    chosen = np.ones(n_frames, dtype=bool)
    if data.shapes or data.without_shapes:
        shapes = read_truth(path, "shape")
        chosen &= ~np.isin(shapes, data.without_shapes)
        chosen &= np.isin(shapes, data.shapes) if data.shapes else True
    if data.without_kinds:
        chosen &= ~np.isin(read_truth(path, "kind"), [str(kind) for kind in data.without_kinds])
    return chosen


def _place(folder: Path, number: int) -> Path:
    return folder / f"experiment_{number:06d}.cxi"


def _simulate_experiments(
    paths: list[Path], options: DomainRandomisationOptions, cluster: ClusterOptions | None, observer: Observer
) -> None:
    folder, total = paths[0].parent, len(paths)
    pending = [number for number, path in enumerate(paths) if not path.exists()]
    if len(pending) < total:
        observer(Note("training data", f"{total - len(pending)} of {total} experiments are there already"))
    for done, _ in enumerate(_each(pending, options, folder, cluster, observer), total - len(pending) + 1):
        observer(Progress(TASK, done, total))


def _each(
    pending: list[int],
    options: DomainRandomisationOptions,
    folder: Path,
    cluster: ClusterOptions | None,
    observer: Observer,
) -> Iterator[int]:
    """Make experiments, and yield the number of each that is there.

    Parameters
    ----------
    pending : list of int
        Numbers of those to make.
    options : DomainRandomisationOptions
        How.
    folder : Path
        For their files.
    cluster : ClusterOptions or None
        Where several are made at once.
    observer : Observer
        Hears when the cluster doesn't go on.
    """
    if cluster is None:
        for number in pending:
            _make_experiment(number, options, folder)
            yield number
        return
    with dask_client(cluster) as client:
        made = in_any_order(client, _make_experiment, pending, [options, folder], observer=observer)
        yield from (number for number, _ in made)


def _make_experiment(number: int, options: DomainRandomisationOptions, folder: Path) -> None:
    run, mask = draw_experiment(
        options.seed + number,
        particles=options.particles,
        frame_shape=options.frame_shape,
        chunk=min(options.frames, _CHUNK),
        bad_kinds=options.bad_kinds or None,
    )
    plan = SimulationPlan(frames=options.frames, run=run, detector=None)
    write_run(_place(folder, number), plan, Setup(run=run, mask=mask))


def _simulate(plan: SimulationPlan, path: Path, fresh: bool, observer: Observer) -> None:
    try:
        simulate_hits(plan, path, observer=observer)
    except InputError:
        if not fresh:
            raise
        simulate_hits(plan, path, fresh=True, observer=observer)


def _keep_only(options: DomainRandomisationOptions, folder: Path, fresh: bool) -> None:
    """Refuse to mix experiments of two plans, or remove the others; more of the same are welcome."""
    record = folder / _MADE_WITH
    now = json.dumps(options.model_dump(mode="json", exclude={"count"}) | {"version": __version__}, sort_keys=True)
    if record.exists() and record.read_text() != now:
        if not fresh:
            raise InputError(f"{folder}: holds experiments of another plan or version; replace them with --fresh")
        for path in folder.glob("experiment_*"):
            path.unlink()
    record.write_text(now)
