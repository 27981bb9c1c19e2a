"""Hits of one particle in random orientations, as `friedel merge` takes them, with the truth beside.

``NAME.emc`` holds photons, ``NAME_detector.h5`` the detector, ``NAME_blanks.emc`` frames without a particle if there is
a background, ``NAME_truth.h5`` what a merge should find: orientations, fluences, intensity and density on its grid.
Everything is in voxels: the detector's pixel at the beam is one, and the particle's diameter is one of its grid's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import h5py
import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.transform import Rotation

from friedel._version import __version__
from friedel.core.errors import InputError, PlanError
from friedel.core.files.atomic import replacing
from friedel.core.fourier import inverse_fourier
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.core.plan import Plan
from friedel.spi.forward.ewald import slices
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.frames.dragonfly import DragonflyDetector, write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.particles.assemblies import ASSEMBLIES, assembly
from friedel.spi.particles.particle import PARTICLES, Particle, particle
from friedel.spi.simulation.plan import SampleFile
from friedel.spi.simulation.sample_files import read_sample

Floats = NDArray[np.float32]

_TURN = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)
"""From (x, y, z) to (z, y, x) and back."""
_AT_ONCE = 100  # frames made at once
_GLOW = 0.3  # of the detector's radius: over which the background falls by e


class MergeDataPlan(Plan):
    """Hits of one particle for a merge."""

    command: ClassVar[str] = "friedel simulate hits"
    run_it: ClassVar[str] = "friedel simulate hits --plan plan.yaml -o FILE.emc"

    particle: str = "blob"
    """A shape by name, or a file: PDB or mmCIF structure, MRC map, ``.npy`` density."""
    hits: Annotated[int, Field(ge=1)] = 1500
    """Frames of the particle."""
    photons: Annotated[float, Field(gt=0)] = 500.0
    """Mean number that the particle scatters onto the detector, a frame."""
    fluence_spread: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Standard deviation of the fluence's logarithm."""
    background: Annotated[float, Field(ge=0)] = 0.0
    """Photons a frame, round and in every frame, that don't come from the particle."""
    pixels: Annotated[int, Field(ge=21, le=1001)] = 81
    """Pixels along the detector's edge; odd numbers have one on the beam."""
    stop: Annotated[float, Field(ge=0)] = 3.5
    """Radius of the beam stop, pixels."""
    distance: Annotated[float, Field(gt=0)] = 200.0
    """Of the detector, pixels: the Ewald sphere's radius."""
    diameter: Annotated[float, Field(gt=2)] = 20.0
    """Of the particle, voxels of the density's grid, which has as many as the detector has pixels: speckles are
    pixels / diameter wide."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the particle, its orientations and the photons."""
    output: Path | None = None
    """``FILE.emc``; the command line's ``-o`` wins."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeData:
    """What a simulation for a merge leaves.

    Attributes
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        The frames.
    detector : DragonflyDetector
        Theirs.
    blanks : (n_blanks, n_pixels) csr_matrix or None
        Frames of the background alone.
    truth : MergeTruth
        What a merge should find.
    """

    photons: sp.csr_matrix
    detector: DragonflyDetector
    blanks: sp.csr_matrix | None
    truth: "MergeTruth"


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeTruth:
    """What a merge of simulated hits should find, in the conventions of ``merged.h5``.

    Attributes
    ----------
    orientations : (n_frames, 4) float32
        Quaternions (w, x, y, z) of the rotation that takes a pixel's q to the particle's.
    fluence : (n_frames,) float32
        Mean one.
    intensity : (n, n, n) float32
        (z, y, x), origin at ``n // 2``, photons a frame of fluence one.
    density : (n, n, n) float32
        The density that has this intensity, largest value one.
    """

    orientations: Floats
    fluence: Floats
    intensity: Floats
    density: Floats

    def save(self, path: Path) -> None:
        """Write it as HDF5, under the attributes' names."""
        with replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
            file.attrs["creator"] = f"friedel {__version__}"
            file["orientations"], file["fluence"], file["voxel"] = self.orientations, self.fluence, 1.0
            for name in ("intensity", "density"):
                file.create_dataset(name, data=getattr(self, name), compression="gzip", compression_opts=1)

    @classmethod
    def load(cls, path: Path) -> "MergeTruth":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing or isn't such a file.
        """
        try:
            with h5py.File(path, "r") as file:
                names = ("orientations", "fluence", "intensity", "density")
                return cls(**{name: file[name][()] for name in names})
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: not the truth of simulated hits ({error})") from None


def flat_detector(plan: MergeDataPlan) -> DragonflyDetector:
    """Return a flat square detector with a round edge and a beam stop, q in voxels; weights one."""
    half = (plan.pixels - 1) / 2
    y, x = np.mgrid[: plan.pixels, : plan.pixels] - half
    length = np.sqrt(x**2 + y**2 + plan.distance**2)
    q = np.stack([x, y, plan.distance - length], axis=-1).reshape(-1, 3) * (plan.distance / length).reshape(-1, 1)
    radius = np.hypot(x, y).ravel()
    mask = np.where(radius > half, 2, np.where(radius < plan.stop, 1, 0)).astype(np.uint8)
    return DragonflyDetector(
        q=q, correction=np.ones(len(q)), mask=mask, distance=plan.distance, ewald_radius=plan.distance
    )


def particle_for(plan: MergeDataPlan) -> Particle:
    """Return the plan's particle: of a name, or of a file.

    Raises
    ------
    PlanError
        If it is neither a name nor a file.
    InputError
        If the file can't be used.
    MissingDependencyError
        Without the package that reads it.
    """
    rng = np.random.default_rng([plan.seed, 1])
    if plan.particle in PARTICLES:
        return particle(plan.particle, rng=rng)
    if plan.particle in ASSEMBLIES:
        return assembly(plan.particle, rng=rng)
    if not Path(plan.particle).is_file():
        raise PlanError(
            f"particle: {plan.particle!r} is neither a file nor a name; names: {', '.join((*PARTICLES, *ASSEMBLIES))}"
        )
    return read_sample(SampleFile(path=Path(plan.particle)), ParticleRunOptions()).particle


def simulate_merge_data(plan: MergeDataPlan, *, observer: Observer = silent) -> MergeData:
    """Simulate hits of one particle.

    Raises
    ------
    PlanError
        If the particle is neither a name nor a file, or doesn't fit its grid.
    InputError
        If the particle's file can't be used.
    MissingDependencyError
        Without finufft, or the package that reads the particle's file.
    """
    if 2 * plan.diameter > plan.pixels:
        raise PlanError(
            f"a particle of {plan.diameter:g} voxels in {plan.pixels} pixels: speckles narrower than two pixels can't "
            "be merged; make the diameter smaller or the detector larger"
        )
    rng, detector, shape = np.random.default_rng([plan.seed, 2]), flat_detector(plan), particle_for(plan)
    used = detector.mask == 0
    rotations = Rotation.random(plan.hits, random_state=rng)
    fluence = np.exp(rng.normal(0, plan.fluence_spread, plan.hits))
    fluence /= fluence.mean()
    mean = _mean_frames(shape, plan, detector.q[used], rotations.as_matrix(), observer)
    scale = plan.photons / mean.sum(1).mean()
    glow = np.exp(-np.linalg.norm(detector.q[used], axis=1) / (_GLOW * plan.pixels / 2))
    glow *= plan.background / glow.sum()
    photons = _drawn(rng, mean * (scale * fluence[:, None]) + glow, used)
    blanks = _drawn(rng, np.tile(glow, (plan.hits, 1)), used) if plan.background else None
    amplitude = _on_grid(shape, plan) * np.sqrt(scale)
    density = inverse_fourier(torch.from_numpy(amplitude)).real.numpy()
    truth = MergeTruth(
        orientations=np.roll(rotations.as_quat(), 1, axis=1).astype(np.float32),
        fluence=fluence.astype(np.float32),
        intensity=(np.abs(amplitude) ** 2).astype(np.float32),
        density=(density / density.max()).astype(np.float32),
    )
    return MergeData(photons=photons, detector=detector, blanks=blanks, truth=truth)


def write_merge_data(
    plan: MergeDataPlan, output: Path | None = None, *, observer: Observer = silent
) -> dict[str, Path]:
    """Simulate hits and leave their files, whose names begin with the output's; return them by what they hold.

    Parameters
    ----------
    plan : MergeDataPlan
        What to simulate.
    output : Path, optional
        ``FILE.emc``; None: the plan's.
    observer : Observer
        Told the progress.

    Raises
    ------
    PlanError, InputError, MissingDependencyError
        As `simulate_merge_data`; PlanError if no file is named, too.
    """
    path = output or plan.output
    if path is None:
        raise PlanError("no file for the frames: give -o FILE.emc, or 'output' in the plan")
    made = simulate_merge_data(plan, observer=observer)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {"frames": path, "detector": path.with_name(f"{path.stem}_detector.h5")}
    _write(files["frames"], made.photons)
    with replacing(files["detector"]) as unfinished:
        write_detector(unfinished, made.detector)
    if made.blanks is not None:
        files["blanks"] = path.with_name(f"{path.stem}_blanks.emc")
        _write(files["blanks"], made.blanks)
    files |= {"truth": path.with_name(f"{path.stem}_truth.h5"), "plan": path.with_name(f"{path.stem}_plan.yaml")}
    made.truth.save(files["truth"])
    files["plan"].write_text(plan.text(), encoding="utf-8")
    observer(Note("simulate", f"{plan.hits} hits of {plan.particle} in {path}", {"frames": float(plan.hits)}))
    return files


def _mean_frames(
    shape: Particle, plan: MergeDataPlan, q: NDArray[np.float64], rotations: NDArray[np.float64], observer: Observer
) -> Floats:
    """Return the particle's intensity at pixels in each orientation, ``(n_frames, n_used)``, in any unit."""
    # A pixel measures I(R q), where `slices` turns the particle instead; its vectors are (z, y, x).
    turned = (_TURN @ np.swapaxes(rotations, 1, 2) @ _TURN).astype(np.float32)
    found = np.empty((len(rotations), len(q)), np.float32)
    for start in range(0, len(rotations), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found[part] = np.abs(_transform(shape, plan, q @ _TURN, turned[part])) ** 2
        observer(Progress("simulating hits", min(start + _AT_ONCE, len(rotations)), len(rotations)))
    return found


def _transform(shape: Particle, plan: MergeDataPlan, q: NDArray[np.float64], turned: Floats) -> NDArray[np.complex64]:
    radians = (2 * np.pi / plan.pixels * q).astype(np.float32)
    return slices(shape, radians, turned, np.full(len(turned), plan.diameter, np.float32))


def _on_grid(shape: Particle, plan: MergeDataPlan) -> NDArray[np.complex64]:
    """Return the particle's transform on the merged volume's grid, origin at ``n // 2``."""
    n = plan.pixels
    places = np.indices((n, n, n)).reshape(3, -1).T - n // 2
    return _transform(shape, plan, places.astype(float), np.eye(3, dtype=np.float32)[None]).reshape(n, n, n)


def _drawn(rng: np.random.Generator, mean: NDArray[np.floating], used: NDArray[np.bool_]) -> sp.csr_matrix:
    counts = sp.csr_matrix(rng.poisson(mean).astype(np.float32))
    return sp.csr_matrix((counts.data, np.flatnonzero(used)[counts.indices], counts.indptr), (len(mean), len(used)))


def _write(path: Path, photons: sp.csr_matrix) -> None:
    with replacing(path) as unfinished:
        rows = (sparse(photons[row].toarray()[0]) for row in range(photons.shape[0]))
        write_emc(unfinished, rows, n_frames=photons.shape[0], n_pixels=photons.shape[1])
