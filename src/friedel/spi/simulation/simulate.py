"""A simulated run of single-particle frames: a plan in, one CXI file with frames and truth out.

Chunks are made anywhere and written here, by one writer. A chunk depends on the seed and its number alone, so neither
the number of workers, nor an interruption, nor the order in which chunks finish changes a bit of the file's arrays.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.errors import InputError, PlanError
from friedel.core.files.reserved import fingerprint_of
from friedel.core.machine.cluster import dask_client, in_any_order
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.spi.detectors import FrameDetector, frame_detector
from friedel.spi.forward.frames import ParticleRunOptions, SimulatedFrames, simulate_frames
from friedel.spi.particles.assemblies import ASSEMBLIES, assembly
from friedel.spi.particles.particle import Particle
from friedel.spi.simulation.geometry import read_frame_geometry
from friedel.spi.simulation.layout import PROCESS, RunDescription, read_truth
from friedel.spi.simulation.plan import SimulationPlan, checked
from friedel.spi.simulation.sample_files import Sample, read_sample
from friedel.spi.simulation.writer import RunWriter

TASK = "simulating frames"


@dataclass(frozen=True, eq=False, kw_only=True)
class Setup:
    """What every chunk of a run is made from.

    Attributes
    ----------
    run : ParticleRunOptions
        With the detector's pixel size.
    mask : (y, x) bool
        True where the detector measures.
    samples : tuple of Sample
        Particles from files; empty: the run's own shapes.
    """

    run: ParticleRunOptions
    mask: NDArray[np.bool_]
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """What a run leaves behind.

    Attributes
    ----------
    path : Path
        The file.
    kinds : dict of str to int
        How many frames show what.
    """

    path: Path
    kinds: dict[str, int]


def simulate_hits(
    plan: SimulationPlan, output: str | Path | None = None, *, fresh: bool = False, observer: Observer = silent
) -> SimulatedRun:
    """Simulate a run of frames, or go on with one that was interrupted.

    Parameters
    ----------
    plan : SimulationPlan
        What to simulate.
    output : str or Path, optional
        File for the frames; None takes the plan's.
    fresh : bool
        Make everything again, whatever lies there.
    observer : Observer
        Hears the progress.

    Raises
    ------
    PlanError
        If a name in the plan is unknown, or no file is named.
    InputError
        If a file of the plan can't be used, the frames can't be written, or another run lies there.
    MissingDependencyError
        If the plan needs an extra that isn't installed.
    """
    place = output or plan.output
    if place is None:
        raise PlanError("no file for the frames: give -o FILE, or 'output' in the plan")
    return write_run(Path(place), plan, _setup(checked(plan)), fresh=fresh, observer=observer)


def write_run(
    path: Path, plan: SimulationPlan, setup: Setup, *, fresh: bool = False, observer: Observer = silent
) -> SimulatedRun:
    """Simulate a run whose mask and particles are ready; its errors are those of `simulate_hits`.

    Parameters
    ----------
    path : Path
        File for the frames.
    plan : SimulationPlan
        How many frames, and on which workers.
    setup : Setup
        What every chunk is made from.
    fresh, observer
        As for `simulate_hits`.
    """
    run = _description(plan, setup)
    if not fresh and path.exists():
        _check_finished(path, run)
        observer(Note("simulate", f"{path} holds this very run already; nothing to do"))
        return _summary(path)
    with RunWriter(path, run, fresh=fresh) as writer:
        _fill(writer, plan, setup, observer)
        finished = writer.finish()
    observer(Note("simulate", f"{run.n_frames} frames in {finished}", {"frames": float(run.n_frames)}))
    return _summary(finished)


def make_chunk(number: int, setup: Setup) -> SimulatedFrames:
    """Return one chunk of a run; the seed and its number decide everything random in it."""
    options, species = _species(number, setup)
    return simulate_frames(options, number, mask=setup.mask, species=species)


def _species(number: int, setup: Setup) -> tuple[ParticleRunOptions, Particle | None]:
    """Return a chunk's particle, if it isn't one of the forward model's own, and the options with its size or name."""
    run = setup.run
    draw = np.random.default_rng([run.seed, 1 + number, 1])
    if setup.samples:
        sample = setup.samples[int(draw.integers(len(setup.samples)))]
        return run.model_copy(update={"diameter_nm": sample.diameter_nm}), sample.particle
    if not set(run.particles) & set(ASSEMBLIES):
        return run, None
    name = run.particles[int(draw.integers(len(run.particles)))]
    options = run.model_copy(update={"particles": (name,)})
    return options, assembly(name, rng=draw) if name in ASSEMBLIES else None


def _fill(writer: RunWriter, plan: SimulationPlan, setup: Setup, observer: Observer) -> None:
    run, pending = writer.run, writer.pending
    done = run.n_frames - sum(last - first for first, last in map(run.span, pending))
    if done:
        observer(Note("simulate", f"going on after {done} of {run.n_frames} frames made before"))
    observer(Progress(TASK, done, run.n_frames))
    for number, made in _chunks(pending, plan, setup, observer):
        writer.write(number, made.frames, _truth(made, setup.run.seed, number))
        first, last = run.span(number)
        done += last - first
        observer(Progress(TASK, done, run.n_frames))


def _chunks(
    pending: list[int], plan: SimulationPlan, setup: Setup, observer: Observer
) -> Iterator[tuple[int, SimulatedFrames]]:
    if plan.cluster is None:
        yield from ((number, make_chunk(number, setup)) for number in pending)
        return
    with dask_client(plan.cluster) as client:
        yield from in_any_order(client, make_chunk, pending, [setup], observer=observer)


def _truth(made: SimulatedFrames, seed: int, number: int) -> dict[str, NDArray[Any]]:
    n = len(made.single)
    return {
        "single": made.single,
        "kind": made.kind,
        "shape": np.full(n, made.particle.encode()[:64]),
        "bodies": made.bodies,
        "quaternion": made.quaternion,
        "diameter": made.diameter_nm * 1e-9,
        "photons": made.photons,
        "seed": np.tile(np.array([seed, number], np.uint64), (n, 1)),
    }


def _setup(plan: SimulationPlan) -> Setup:
    detector = _detector(plan)
    run = plan.run if detector is None else plan.run.model_copy(update={"pixel_size_m": detector.pixel_size_m})
    mask = np.ones(run.frame_shape, dtype=bool) if detector is None else detector.mask
    return Setup(run=run, mask=mask, samples=tuple(read_sample(file, run) for file in plan.samples))


def _detector(plan: SimulationPlan) -> FrameDetector | None:
    options, shape = plan.detector, plan.run.frame_shape
    if options is None:
        return None
    if options.geometry is not None:
        return read_frame_geometry(options.geometry, options.name, shape, binning=options.binning)
    return frame_detector(options.name, shape, binning=options.binning, opening_px=options.opening_px)


def _description(plan: SimulationPlan, setup: Setup) -> RunDescription:
    run = setup.run
    return RunDescription(
        n_frames=plan.frames,
        chunk=run.chunk,
        dtype="uint16" if run.readout.adu_per_photon is None else "float32",
        mask=setup.mask,
        photon_energy_ev=run.photon_energy_ev,
        distance_m=run.distance_m,
        pixel_size_m=run.pixel_size_m,
        centre_yx=run.geometry().centre,
        # Where it went and who made it are no part of the result: two files of one run are equal byte by byte.
        plan=plan.model_copy(update={"run": run, "cluster": None, "output": None}).text(),
        fingerprint=_fingerprint(plan.frames, setup),
        version=__version__,
    )


def _fingerprint(n_frames: int, setup: Setup) -> str:
    """Return a hash of all that decides the frames: not where they go nor who makes them."""
    settings = {"frames": n_frames, "run": setup.run.model_dump(mode="json"), "version": __version__}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(setup.mask.tobytes())
    for sample in setup.samples:
        digest.update(sample.particle.density.tobytes() + np.float64(sample.diameter_nm).tobytes())
    return digest.hexdigest()


def _check_finished(path: Path, run: RunDescription) -> None:
    if fingerprint_of(path, PROCESS) != run.fingerprint:
        raise InputError(
            f"{path}: lies there already and isn't this run (another plan, seed or version); "
            "choose another name, or make it anew with --fresh"
        )


def _summary(path: Path) -> SimulatedRun:
    names, counts = np.unique(read_truth(path, "kind"), return_counts=True)
    return SimulatedRun(path=path, kinds={str(name): int(count) for name, count in zip(names, counts, strict=True)})
