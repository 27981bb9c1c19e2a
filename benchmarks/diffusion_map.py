"""The diffusion map's time: 7214 frames of 128² dense, and 100,000 through landmarks.

Bars: 7 eigenvectors of 7214 frames within 6 s from frames to coordinates on two cores; 100,000 frames within 90 s, with
the labels of at least 98 % of the frames as the dense map has them. The peer is the same map written plainly in NumPy.

The frames are simulated icosahedra, single and not. The long run repeats them flipped and with a random share of their
photons removed, which leaves counts as a weaker pulse would have given them; its first frames are the dense map's.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments
from scipy.sparse.linalg import eigsh

from friedel.core.machine.memory import keep_freed_memory
from friedel.spi.diffusion.diffusion_map import DiffusionMap, DiffusionOptions, diffusion_map
from friedel.spi.diffusion.frame_vectors import frame_vectors
from friedel.spi.diffusion.landmarks import map_run
from friedel.spi.forward.frames import ParticleRunOptions, simulate_frames
from friedel.spi.hits.clusters import label_by_neighbours

DENSE_SECONDS, LONG_SECONDS, AGREEMENT = 6.0, 90.0, 0.98
OPTIONS = DiffusionOptions(coordinates=7)
LABELLED = 400
RUN = ParticleRunOptions.read(
    {"frame_shape": (128, 128), "pixel_size_m": 600e-6, "fluence_photons_per_um2": 1e11, "seed": 5}
)
Bytes = NDArray[np.uint8]
T = TypeVar("T")


def simulated(n: int) -> tuple[Bytes, NDArray[np.bool_]]:
    """Return ``n`` frames and whether each is a single hit."""
    chunks = [simulate_frames(RUN, number) for number in range(-(-n // RUN.chunk))]
    frames = np.concatenate([chunk.frames for chunk in chunks])[:n]
    return np.minimum(frames, 255).astype(np.uint8), np.concatenate([chunk.single for chunk in chunks])[:n]


def write_long(path: Path, frames: Bytes, n: int) -> Bytes:
    """Write the long run and return it as a memory map."""
    rng = np.random.default_rng(9)
    long = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, *frames.shape[1:]))
    for turn, first in enumerate(range(0, n, len(frames))):
        some = frames[: n - first]
        flipped = some[:, :: -1 if turn & 1 else 1, :: -1 if turn & 2 else 1]
        kept = rng.uniform(0.7, 1.0, (len(some), 1, 1))
        long[first : first + len(some)] = some if turn == 0 else rng.binomial(flipped, kept)
    long.flush()
    return np.load(path, mmap_mode="r")


def plain(vectors: NDArray[np.float32], bandwidth: float) -> NDArray[np.float32]:
    """Return the coordinates by plain NumPy and SciPy, with the bandwidth given."""
    squares = (vectors**2).sum(axis=1)
    kernel = np.exp(-(squares[:, None] + squares - 2 * vectors @ vectors.T) / np.float32(bandwidth))
    density = kernel.sum(axis=1)
    kernel /= density[:, None] * density
    root = np.sqrt(kernel.sum(axis=1))
    values, found = eigsh(kernel / (root[:, None] * root), k=OPTIONS.coordinates + 1, which="LA", tol=1e-5)
    return np.asarray((found / root[:, None])[:, np.argsort(-values)[1:]])


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """Return what the work gives, its wall seconds and its CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def labels(coordinates: NDArray[np.float32], single: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which frames their neighbours on the map take for single hits, the first frames' truth being known."""
    return label_by_neighbours(coordinates, np.arange(LABELLED), single[:LABELLED]) > 0.5


def add_dense(report: Report, frames: Bytes, *, quick: bool) -> DiffusionMap:
    """Time the dense map beside the plain one."""
    made, wall, cpu = timed(lambda: diffusion_map(frame_vectors(frames), OPTIONS))
    _, plain_wall, plain_cpu = timed(lambda: plain(frame_vectors(frames), made.kernel.bandwidth))
    report.add(
        f"{len(frames)} × {frames.shape[1]}² dense, frames to 7 coordinates",
        f"{wall:.2f} s ({cpu:.1f} CPU-s)",
        bar="" if quick else f"<= {DENSE_SECONDS:.0f} s",
        peer=f"{plain_wall:.2f} s ({plain_cpu:.1f} CPU-s)",
        met=None if quick else wall <= DENSE_SECONDS,
    )
    return made


def add_long(report: Report, long: Bytes, dense: DiffusionMap, single: NDArray[np.bool_], *, quick: bool) -> None:
    """Time the long run, and compare its labels with the dense map's on the frames they share."""
    (_, placed), wall, cpu = timed(lambda: map_run(long, OPTIONS))
    report.add(
        f"{len(long)} frames through landmarks",
        f"{wall:.1f} s ({cpu:.1f} CPU-s)",
        bar="" if quick else f"<= {LONG_SECONDS:.0f} s",
        met=None if quick else wall <= LONG_SECONDS,
    )
    ours, theirs = labels(placed, single)[: len(single)], labels(dense.coordinates, single)
    same = float(np.mean(ours == theirs))
    bar, met = ("", None) if quick else (f">= {AGREEMENT:.0%}", same >= AGREEMENT)
    report.add("labels as from the dense map", f"{same:.2%}", bar=bar, met=met)
    report.add("right, dense and through landmarks", f"{np.mean(theirs == single):.2%}, {np.mean(ours == single):.2%}")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__)
    keep_freed_memory()
    n, long = (1500, 8000) if given.quick else (7214, 100_000)
    frames, single = simulated(n)
    diffusion_map(frame_vectors(frames[:500]), OPTIONS)  # loads what is loaded once
    report = Report("diffusion map: seconds", given.quick)
    dense = add_dense(report, frames, quick=given.quick)
    report.note("The plain map leaves isolated frames alone; they make its eigenvectors slow to find.")
    with tempfile.TemporaryDirectory() as folder:
        add_long(report, write_long(Path(folder) / "long.npy", frames, long), dense, single, quick=given.quick)
    report.note(f"Named by the nearest of {LABELLED} labelled frames; {single.mean():.0%} of the frames are single.")
    report.finish()


if __name__ == "__main__":
    main()
