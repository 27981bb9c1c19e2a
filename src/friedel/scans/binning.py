"""Sum blocks of voxels, knowing that some of them are unknown."""

import numpy as np

from friedel.base.observer import Note, Observer, silent
from friedel.scans.counts import Counts


def bin_counts(counts: Counts, factors: tuple[int, int, int], *, observer: Observer = silent) -> Counts:
    """Return the counts summed over blocks of ``factors`` voxels along ``(z, y, x)``.

    A block is measured if at least half of its voxels are; its sum is then scaled to the whole block. Voxels left over
    at the end of an axis are dropped.
    """
    if factors == (1, 1, 1):
        return counts
    sizes = [n // factor for n, factor in zip(counts.mask.shape, factors, strict=True)]
    blocks = [item for size, factor in zip(sizes, factors, strict=True) for item in (size, factor)]
    used = tuple(slice(0, size * factor) for size, factor in zip(sizes, factors, strict=True))
    total = counts.values[used].reshape(blocks).sum(axis=(1, 3, 5), dtype=np.float64)
    share = counts.mask[used].reshape(blocks).mean(axis=(1, 3, 5))
    mask = share >= 0.5
    values = np.where(mask, total / np.maximum(share, 0.5), 0.0).astype(np.float32)
    observer(Note("bin", f"summed blocks of {factors} voxels; {1 - mask.mean():.2%} of the blocks are unknown"))
    return Counts(values, mask)
