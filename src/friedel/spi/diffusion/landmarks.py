"""The diffusion map of a run too long for a matrix: some frames make the map, all others are placed on it.

Frames are read in blocks, and never held all at once. A kind of frame too rare to be among the landmarks has no place
of its own on the map.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from friedel.core.observer import Observer, Progress, silent
from friedel.spi.diffusion.diffusion_map import DiffusionMap, DiffusionOptions, diffusion_map
from friedel.spi.diffusion.frame_vectors import Vectors, frame_vectors

LANDMARKS = 3000  # the kernel of all pairs takes 36 MB and its eigenvectors seconds; both grow with the square
BLOCK = 1024  # frames placed on the map at a time


class FrameArray(Protocol):
    """Frames ``(n, y, x)`` that can be sliced along n: an array, a memory map, an HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, y, x)``."""
        ...

    def __getitem__(self, frames: slice, /) -> NDArray[np.generic]:
        """Return a stretch of frames."""
        ...


def map_run(
    frames: FrameArray,
    options: DiffusionOptions | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
    landmarks: int = LANDMARKS,
    device: str | None = "cpu",
    observer: Observer = silent,
) -> tuple[DiffusionMap, NDArray[np.float32]]:
    """Return the map made by the landmarks, and the coordinates of every frame on it.

    Parameters
    ----------
    frames : array-like (n, y, x)
        The run; read one frame at a time for the landmarks and then once from end to end.
    options : DiffusionOptions, optional
        How the landmarks' map is made; its seed chooses them.
    mask : (y, x) bool, optional
        True where the detector measures.
    landmarks : int
        Frames that make the map; a run no longer than this is mapped whole.
    device : str, optional
        Where distances are computed; None takes a GPU if there is one.
    observer : Observer
        Hears how many frames have their place.

    Returns
    -------
    map : DiffusionMap
        Of the landmarks.
    coordinates : (n, k) float32
        Of all frames, in their order.
    """
    chosen, n = options or DiffusionOptions(), int(frames.shape[0])
    picked = landmark_numbers(n, landmarks, seed=chosen.seed)
    made = diffusion_map(_gathered(frames, picked, mask), chosen, device=device)
    placed = np.empty((n, chosen.coordinates), dtype=np.float32)
    for first in range(0, n, BLOCK):
        block = np.asarray(frames[first : first + BLOCK])
        placed[first : first + BLOCK] = made.place(frame_vectors(block, mask))
        observer(Progress("diffusion map", min(first + BLOCK, n), n))
    placed[picked] = made.coordinates  # exact where known; elsewhere Nyström's
    return made, placed


def landmark_numbers(n: int, landmarks: int, *, seed: int) -> NDArray[np.int64]:
    """Return ``landmarks`` frame numbers, rising: one drawn from each of as many equal stretches of the run."""
    if landmarks >= n:
        return np.arange(n)
    edges = np.linspace(0, n, landmarks + 1)
    drawn = np.random.default_rng(seed).uniform(edges[:-1], edges[1:])
    # Stretches are longer than one frame, so rounding down keeps the numbers apart but for rare neighbours.
    return np.unique(drawn.astype(np.int64))


def _gathered(frames: FrameArray, numbers: NDArray[np.int64], mask: NDArray[np.bool_] | None) -> Vectors:
    if len(numbers) == frames.shape[0]:
        return frame_vectors(np.asarray(frames[:]), mask)
    return np.concatenate([frame_vectors(np.asarray(frames[k : k + 1]), mask) for k in numbers.tolist()])
