"""How sure are the merged intensity and the orientations? Frames drawn again, and frames whose orientation is known.

Bootstrap: as many frames are drawn from the frames, with replacement, placed by the final model and merged; what the
intensities of many such draws differ by is their error from the choice of frames and from photon noise (bootstrap of
EMC: arXiv:1701.00338). Sentinels: frames drawn from one half's intensity, in orientations that are known,
are oriented by the other half's, as any frame would be.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.core.machine.threads import in_threads
from friedel.core.observer import Progress
from friedel.spi.orient.background import expect_over
from friedel.spi.orient.march import THOROUGH, March, Model, compress, iterate, rotations_of, uncertainty_of
from friedel.spi.orient.rings import Pixels, RingFrames, ring_frames
from friedel.spi.orient.views import turned_views
from friedel.spi.orient.volume import sample

Floats = NDArray[np.float32]


def resampled(frames: RingFrames, model: Model, march: March, n: int, *, seed: int) -> Floats:
    """Return the intensities of ``n`` draws of the frames, with replacement, ``(n, m, m, m)`` float32.

    Parameters
    ----------
    frames : RingFrames
        The frames that are used.
    model : Model
        The final intensity, from which each draw is placed.
    march : March
        As for the merge.
    n : int
        Draws.
    seed : int
        Of the draws and the views.
    """

    def lane(job: tuple[int, RingFrames]) -> list[tuple[int, Floats]]:
        first, ours = job
        found = []
        for number in range(first, n, 2):
            rng = np.random.default_rng((seed, 7, number, ours.team.rank))
            drawn = ours.select(np.sort(rng.integers(0, len(ours), len(ours))))
            # Views must be the same for all processes, frames mustn't.
            done = iterate(model, drawn, march, np.random.default_rng((seed, 8, number)), q_max=march.q_max)
            volume = compress(done.merge, done.model, march, q_max=march.q_max, steps=THOROUGH).intensity
            found.append((number, volume.cpu().numpy()))
            march.observer(Progress("bootstrap", number + 1, n))
        return found

    lanes = [(first, replace(frames, team=team)) for first, team in enumerate(frames.team.channels(2))]
    volumes = dict(pair for found in in_threads(lane, lanes) for pair in found)
    return np.stack([volumes[number] for number in range(n)])


@dataclass(frozen=True, eq=False, kw_only=True)
class Sentinels:
    """Frames of known orientation, as they were oriented.

    Attributes
    ----------
    error : (n,) float32
        Angle between the known and the found orientation, rad.
    claimed : (n,) float32
        The uncertainty that each was given, rad.
    """

    error: Floats
    claimed: Floats

    @property
    def sentence(self) -> str:
        """The figures in words."""
        error, claimed = np.degrees(self.error), np.degrees(self.claimed)
        return (
            f"{len(error)} frames drawn from one half's intensity and oriented by the other's lie "
            f"{np.median(error):.1f}° off in the median, nine of ten at most {np.percentile(error, 90):.1f}°; "
            f"{np.median(claimed):.1f}° were claimed"
        )


def sentinels(
    halves: tuple[Tensor, Tensor], frames: RingFrames, pixels: Pixels, march: March, n: int, *, seed: int
) -> Sentinels:
    """Draw frames from one half's intensity, as bright as the hits, and orient them by the other half's.

    Parameters
    ----------
    halves : two (m, m, m)
        Intensities, the second turned onto the first; NaN where turned from outside.
    frames : RingFrames
        The hits: their rings and numbers of photons.
    pixels : Pixels
        The detector.
    march : March
        As for the merge.
    n : int
        How many.
    seed : int
        Of orientations and photons.
    """
    rng = np.random.default_rng((seed, 9))
    known = Rotation.random(n, random_state=rng).as_matrix()
    counts = frames.everyones(frames.counts.sum(1)).numpy()
    source, other = halves[0], torch.nan_to_num(halves[1], nan=0.0)
    q = torch.from_numpy((pixels.q[pixels.used] @ known.swapaxes(1, 2)).astype(np.float32))
    mean = sample(source, q).double().numpy() * pixels.weight[pixels.used]
    mean *= (rng.choice(counts, n) / mean.sum(1))[:, None]
    photons = sp.lil_matrix((n, len(pixels.weight)), dtype=np.float32)
    photons[:, np.flatnonzero(pixels.used)] = rng.poisson(mean)
    drawn = ring_frames(sp.csr_matrix(photons), pixels, frames.rings)
    views = turned_views(march.n_views(march.q_max), rng, march.group)
    found, _ = expect_over(drawn, other, views, n_rings=drawn.rings.within(march.q_max))
    return Sentinels(error=_nearest(known, rotations_of(found, views), march.group), claimed=uncertainty_of(found))


def _nearest(known: NDArray[np.float64], found: Floats, group: NDArray[np.float64]) -> Floats:
    """Return the angle between orientations, by the symmetry operation that makes it smallest, ``(n,)``, rad."""
    turns = np.einsum("gij,njk,nlk->gnil", group, known, found)
    cosine = (np.trace(turns, axis1=2, axis2=3).max(0) - 1) / 2
    return np.arccos(np.clip(cosine, -1, 1)).astype(np.float32)
