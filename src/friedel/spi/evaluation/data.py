"""The labelled frames that an evaluation is made on. Each set is simulated once and kept in the evaluation's folder.

Seeds are far from those of the shipped plans, so that no frame was ever trained on.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.files.atomic import replacing
from friedel.core.observer import Observer, Progress, silent
from friedel.spi.forward.domain_randomisation import draw_experiment
from friedel.spi.forward.frames import ParticleRunOptions, SimulatedFrames, simulate_frames
from friedel.spi.forward.independent import Beads, OtherDomainOptions, other_run
from friedel.spi.forward.scene import Kind
from friedel.spi.frames.source import open_frames
from friedel.spi.particles.carved import carved_icosahedron
from friedel.spi.training.plan import LabelledFile, TrainingData
from friedel.spi.training.runs import labelled_run

# The shipped plans count experiments from 20261 upwards, some thousands of them.
_EXPERIMENT_SEED, _PAPER_SEED = 50_000_000, 60_000_000
_PAPER_SHIFT = 10_000  # chunks between training and test frames of one run
_APART = {Kind.SEVERAL: 0.9, Kind.EMPTY: 0.1}  # relative shares of what bad frames show
# An experiment like the paper's: particles larger and frames brighter than in most, so that fringes are seen in all.
_BRIGHT: dict[str, Any] = {
    "diameter_nm": 150,
    "frame_shape": (128, 128),
    "fluence_photons_per_um2": 2e10,
    "focus_um": 3.0,
    "readout": {"background_photons": 0.05, "fluctuation": 0.2, "fringe_blur": 0.2, "centre_jitter_px": 0.5},
    "seed": 70_000_000,
}
_CARVED_CHUNK = 32  # frames of one carved body: a quarter of a thousand bodies in the full evaluation
_PAPER_BAD = {Kind.SEVERAL: 0.8, Kind.EMPTY: 0.1, Kind.DEBRIS: 0.1}  # the same, mostly several particles


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledFrames:
    """Frames of one run with their truth.

    Attributes
    ----------
    frames : (n, y, x)
        Photons or detector units.
    mask : (y, x) bool
        True where the detector measures.
    single : (n,) bool
        Whether one particle alone made the frame.
    kind : (n,) str
        What the frame shows.
    particle : str
        The run's particle.
    """

    frames: NDArray[Any]
    mask: NDArray[np.bool_]
    single: NDArray[np.bool_]
    kind: NDArray[np.str_]
    particle: str

    def rows(self, chosen: NDArray[Any]) -> "LabelledFrames":
        """Return some of the frames, by number or by truth value."""
        return LabelledFrames(
            frames=self.frames[chosen],
            mask=self.mask,
            single=self.single[chosen],
            kind=self.kind[chosen],
            particle=self.particle,
        )


Runs = list[LabelledFrames]


class EvaluationData:
    """The sets of frames of one evaluation, made when first asked for.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    observer : Observer
        Hears progress.
    """

    def __init__(self, folder: Path, observer: Observer = silent) -> None:
        self._folder, self._observer = folder, observer

    def paper(self, n_frames: int, *, test: bool) -> LabelledFrames:
        """Return frames of one experiment with icosahedra, 128², photons: what the paper's network is made for."""
        options = ParticleRunOptions.read(
            {
                "frame_shape": (128, 128),
                "pixel_size_m": 600e-6,
                "fluence_photons_per_um2": 2e11,
                "bad_kinds": _PAPER_BAD,
                "seed": _PAPER_SEED,
            }
        )
        chunks, first = -(-n_frames // options.chunk), _PAPER_SHIFT if test else 0
        makers = [lambda number=number: _labelled(simulate_frames(options, first + number)) for number in range(chunks)]
        found = self._made(f"paper-{'test' if test else 'training'}", makers, options.model_dump(mode="json"))
        return joined(found).rows(np.arange(n_frames))

    def bright(
        self, shape: str, n_frames: int, *, first: int, contact: bool = False, carved: bool = False
    ) -> LabelledFrames:
        """Return frames of one shape at an experiment like the paper's: bright, and bad frames are several apart.

        Parameters
        ----------
        shape : str
            The particle's name.
        n_frames : int
            How many.
        first : int
            Number of the first chunk: sets that mustn't share frames begin apart.
        contact : bool
            Bad frames show particles that touch, instead.
        carved : bool
            Of icosahedra: each chunk's is stretched and carved at random, or left as it is (`carved_icosahedron`).
        """
        y, x = np.indices((128, 128)) - 63.5
        mask = (np.hypot(y, x) > 4) & (np.abs(y) > 1.5)
        about = _BRIGHT | {"particles": (shape,), "bad_kinds": {Kind.TOUCHING: 1.0} if contact else _APART}
        options = ParticleRunOptions.read(about | ({"chunk": _CARVED_CHUNK} if carved else {}))

        def make(number: int) -> LabelledFrames:
            rng = np.random.default_rng([options.seed, first + number])
            species = carved_icosahedron(rng) if carved else None
            return _labelled(simulate_frames(options, first + number, mask=mask, species=species))

        makers = [lambda number=number: make(number) for number in range(-(-n_frames // options.chunk))]
        name = f"bright-{shape}-{first}{'-contact' * contact}{'-carved' * carved}"
        return joined(self._made(name, makers, options.model_dump(mode="json"))).rows(np.arange(n_frames))

    def experiments(self, count: int, frames: int) -> Runs:
        """Return short runs of many simulated random experiments, of all shapes; without droplets.

        A droplet is a single body but no particle of the sample, so whether "single" is right for it isn't defined.
        """

        def make(number: int) -> LabelledFrames:
            options, mask = draw_experiment(_EXPERIMENT_SEED + number, chunk=frames)
            found = _labelled(simulate_frames(options, 0, mask=mask))
            return found.rows(found.kind != Kind.DROPLET.value)

        makers = [lambda number=number: make(number) for number in range(count)]
        return self._made("experiments", makers, {"frames": frames, "first": _EXPERIMENT_SEED})

    def other(self, options: OtherDomainOptions, molecules: Sequence[Beads] = ()) -> Runs:
        """Return the runs of the second domain."""

        def make(number: int) -> LabelledFrames:
            run = other_run(options, number, molecules=molecules)
            return LabelledFrames(
                frames=run.frames, mask=run.mask, single=run.single, kind=run.kind, particle=run.particle
            )

        makers = [lambda number=number: make(number) for number in range(options.runs)]
        about = options.model_dump(mode="json") | {"molecules": [beads.name for beads in molecules]}
        return self._made("other", makers, about)

    def large_frames(self) -> NDArray[Any]:
        """Return 64 frames of 256², photons, four times over: to time with, again and again."""
        options = ParticleRunOptions.read({"frame_shape": (256, 256), "seed": _PAPER_SEED + 1})
        made = self._made("large", [lambda: _labelled(simulate_frames(options, 0))], options.model_dump(mode="json"))
        return np.tile(made[0].frames, (4, 1, 1))

    def _made(self, name: str, makers: Sequence[Callable[[], LabelledFrames]], about: dict[str, Any]) -> Runs:
        """Return runs from the folder, making those that aren't there yet."""
        key = hashlib.sha256(json.dumps([__version__, about], sort_keys=True, default=str).encode()).hexdigest()[:12]
        folder = self._folder / f"{name}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for number, make in enumerate(makers):
            path = folder / f"{number:05d}.npz"
            found.append(_read(path) if path.exists() else _kept(path, make()))
            self._observer(Progress(f"frames: {name}", number + 1, len(makers)))
        return found


def from_file(file: LabelledFile) -> LabelledFrames:
    """Read a labelled run whole.

    Raises
    ------
    InputError
        If frames or labels can't be read, or don't match.
    """
    labelled = labelled_run(file, TrainingData(files=(file,)))
    with open_frames(file.path, dataset=file.dataset) as source:
        frames = source.read(0, source.shape[0])[labelled.rows]
    return LabelledFrames(
        frames=frames,
        mask=np.ones(frames.shape[1:], dtype=bool) if labelled.mask is None else labelled.mask,
        single=labelled.single,
        kind=np.where(labelled.single, "single", "other"),
        particle=file.path.stem,
    )


def joined(runs: Sequence[LabelledFrames]) -> LabelledFrames:
    """Return runs of the same mask and particle as one."""
    columns = {name: np.concatenate([getattr(run, name) for run in runs]) for name in ("frames", "single", "kind")}
    return LabelledFrames(**columns, mask=runs[0].mask, particle=runs[0].particle)


def _labelled(made: SimulatedFrames) -> LabelledFrames:
    return LabelledFrames(
        frames=made.frames, mask=made.mask, single=made.single, kind=made.kind, particle=made.particle
    )


def _kept(path: Path, run: LabelledFrames) -> LabelledFrames:
    # The frames first: a run is there once its truth is.
    with replacing(_frames_of(path)) as unfinished:
        np.save(unfinished, run.frames)
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, mask=run.mask, single=run.single, kind=run.kind, particle=np.array(run.particle))
    return _read(path)


def _read(path: Path) -> LabelledFrames:
    """Return a kept run; its frames stay on disk until they are looked at (mapped writable, as torch wants them)."""
    with np.load(path) as arrays:
        values = {name: arrays[name] for name in ("mask", "single", "kind")}
        particle = str(arrays["particle"])
    return LabelledFrames(frames=np.load(_frames_of(path), mmap_mode="c"), particle=particle, **values)


def _frames_of(path: Path) -> Path:
    return path.with_suffix(".npy")
