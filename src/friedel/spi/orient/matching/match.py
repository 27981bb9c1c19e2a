"""Compare frames with all views of an intensity, and merge them: by the engine that their geometry allows.

Where pixels lie on a cap that is symmetric around the beam, angular harmonics serve (`expect`); else the plain product
of frames and slices at the pixels (`plain`). Views and in-plane angles, posterior, fluence, background, masks and what
is returned are the same.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.orient.background import by_share
from friedel.spi.orient.matching.expect import Expectation, Judgement, Slices, expect, judge, slices_by_mask
from friedel.spi.orient.matching.plain import plain_expect, plain_judge
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.volume import Merge, collect, friedel_mean


def match(
    frames: RingFrames,
    volume: Tensor,
    views: Tensor,
    *,
    n_rings: int,
    group: NDArray[np.float64],
    beta: float = 1.0,
    bias: Tensor | None = None,
    part: Tensor | None = None,
) -> tuple[Expectation, Merge]:
    """Find the posterior over orientations, and what all frames put into each voxel, less their background.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to compare.
    group : (order, 3, 3)
        Rotations of the particle's symmetry.
    beta : float
        Inverse temperature.
    bias : (n_views,), optional
        Nats by which each view is more probable before a frame is seen.
    part : (n_frames,), optional
        Share of each frame that belongs to this model; None: all of all.
    """
    if frames.rings.plain:
        found, merge = plain_expect(
            frames, volume, views, n_rings=n_rings, group=group, beta=beta, bias=bias, part=part
        )
        merge = Merge(friedel_mean(merge.photons), friedel_mean(merge.exposure))
        return found, merge
    found, points = _by_harmonics(frames, volume, views, n_rings, beta, bias, part)
    return found, collect_views(found, points, volume.shape[0], group, frames.rings.orders)


def place(frames: RingFrames, volume: Tensor, views: Tensor, *, n_rings: int) -> Expectation:
    """Find the posterior over orientations.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to compare.
    """
    if frames.rings.plain:
        return plain_expect(frames, volume, views, n_rings=n_rings)[0]
    return _by_harmonics(frames, volume, views, n_rings, 1.0, None, None)[0]


def collect_views(
    found: Expectation, points: Tensor, n: int, group: NDArray[np.float64], orders: NDArray[np.int64]
) -> Merge:
    """Add the views' photons and exposures to the voxels around their points, under all symmetries and Friedel's.

    Parameters
    ----------
    found : Expectation
        With photons and exposure ``(n_views, n_rings, n_angles)``.
    points : (n_views, n_rings, n_angles, 3)
        Places (x, y, z) in the volume, voxels.
    n : int
        Edge of the volume, voxels.
    group : (order, 3, 3)
        Rotations of the particle's symmetry.
    orders : (n_all_rings,) int
        Highest harmonic of each ring: where it allows, every other or every fourth angle holds all of it.
    """
    total = torch.zeros((n, n, n), dtype=torch.complex64, device=points.device)
    values, n_angles = torch.complex(found.photons, found.exposure), points.shape[2]
    needed, turns = 2 * orders[: points.shape[1]] + 1, torch.as_tensor(group, dtype=torch.float32, device=points.device)
    inner = [int(np.searchsorted(needed, n_angles // step, side="right")) for step in (4, 2, 1)]
    for step, first, last in zip((4, 2, 1), [0, *inner], inner, strict=False):
        places, share = points[:, first:last, ::step], values[:, first:last, ::step] * (step / n_angles)
        for rotation in turns:
            collect(total, places @ rotation.T if len(group) > 1 else places, share)
    total = friedel_mean(total)
    return Merge(total.real.contiguous(), total.imag.contiguous())


def _by_harmonics(
    frames: RingFrames,
    volume: Tensor,
    views: Tensor,
    n_rings: int,
    beta: float,
    bias: Tensor | None,
    part: Tensor | None,
) -> tuple[Expectation, Tensor]:
    """Return the posterior, photons less what the background gave, and where in the volume the views' points lie."""
    parts, order = [], []
    for index, added, chosen, slices in _alike(frames, volume, views, n_rings, promised=False):
        found = expect(chosen, slices, beta=beta, bias=bias, part=None if part is None else part[index])
        if added is not None:
            found = replace(found, photons=found.photons - added[:n_rings, None] * found.exposure)
        parts.append(found)
        order.append(index)
    return _united(parts, torch.cat(order).argsort()), slices.points


def judge_over(frames: RingFrames, volume: Tensor, views: Tensor, *, n_rings: int) -> Judgement:
    """Tell how well an intensity explains frames, with the background if they have one.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The particle's intensity.
    views : (n_views, 3, 3)
        Where to look.
    n_rings : int
        Rings to compare.
    """
    if frames.rings.plain:
        return plain_judge(frames, volume, views, n_rings=n_rings)
    compared = [(index, judge(chosen, slices)) for index, _, chosen, slices in _alike(frames, volume, views, n_rings)]
    back = torch.cat([index for index, _ in compared]).argsort()
    names = ("fit", "surprise", "evidence")
    return Judgement(**{name: torch.cat([getattr(part, name) for _, part in compared])[back] for name in names})


def _alike(
    frames: RingFrames, volume: Tensor, views: Tensor, n_rings: int, *, promised: bool = True
) -> Iterator[tuple[Tensor, Tensor | None, RingFrames, Slices]]:
    """Yield frames' numbers, of nearly one share and one mask each time, the added background, frames and slices."""
    for index, added in by_share(frames):
        kinds = [frames.weights] if frames.masks is None else list(frames.masks)
        found = slices_by_mask(volume, frames, views, n_rings, kinds, added=added, promised=promised)
        for number, slices in enumerate(found):
            ours = index if frames.mask is None else index[frames.mask[index] == number]
            if len(ours):  # another process has them otherwise
                yield ours, added, frames.select(ours), slices


def _united(parts: list[Expectation], back: Tensor) -> Expectation:
    if len(parts) == 1:
        return parts[0]
    names = ("log_likelihood", "entropy", "fluence", "view", "angle")
    return Expectation(
        photons=torch.stack([part.photons for part in parts]).sum(0),
        exposure=torch.stack([part.exposure for part in parts]).sum(0),
        **{name: torch.cat([getattr(part, name) for part in parts])[back.to(parts[0].view.device)] for name in names},
    )
