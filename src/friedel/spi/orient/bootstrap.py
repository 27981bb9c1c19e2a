"""How sure are the merged intensity and the orientations? Frames drawn again, and frames whose orientation is known.

Bootstrap: as many frames are drawn from the frames, with replacement, placed by the final model and merged; what the
intensities of many such draws differ by is their error from the choice of frames and from photon noise (bootstrap of
EMC: arXiv:1701.00338). Sentinels: frames drawn from one half's intensity, in orientations that are known,
are oriented by the other half's, as any frame would be. Recovery: frames drawn from the result are oriented from
nothing, and what they make is compared with what they were drawn from.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.core.machine.threads import in_threads
from friedel.core.observer import Progress, silent
from friedel.spi.orient.align import align, sphere_correlation
from friedel.spi.orient.coverage import evenness
from friedel.spi.orient.march import (
    March,
    Model,
    NoMemory,
    climbed_from,
    concluded,
    iterate,
    rotations_of,
    run_march,
    uncertainty_of,
)
from friedel.spi.orient.matching.expect import MOST
from friedel.spi.orient.matching.match import place
from friedel.spi.orient.rings import Pixels, RingFrames, ring_frames
from friedel.spi.orient.views import turned_views
from friedel.spi.orient.volume import sample

Floats = NDArray[np.float32]
_OWN_NOISE = 1.0
"""Nats a frame that the noise of a half's intensity may cost: starts that gave the intensity back lay 0.2 to 1.6 below
it, those that failed 1.3 to 11."""
_SLIGHT = 0.03
"""Correlation that a start may give back less than the halves promise without being doubted: halves of set A promise
0.978, and every start gives back 0.953–0.956, which smoothing takes."""
_DRAWN_AT_ONCE = 50
"""Frames drawn at once: a detector of 512² has then 150 MB of places."""


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
            volume = concluded(done, drawn, march).model.intensity
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
    halves: tuple[Tensor, Tensor],
    frames: RingFrames,
    pixels: Pixels,
    march: March,
    n: int,
    *,
    seed: int,
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
    known = Rotation.random(n, random_state=rng)
    drawn = drawn_frames(halves[0], replace(frames, background=None, share=None), pixels, known, rng)
    other = torch.nan_to_num(halves[1], nan=0.0)
    views = turned_views(march.n_views(march.q_max), rng, march.group)
    found = place(drawn, other, views, n_rings=drawn.rings.within(march.q_max))
    turns, climbed = rotations_of(found, views), None
    if march.refine:
        climbed = climbed_from(turns, drawn, other, march, q_max=march.q_max)
        turns = climbed.rotations
    return Sentinels(error=_nearest(known.as_matrix(), turns, march.group), claimed=uncertainty_of(found, climbed))


def drawn_frames(
    intensity: Tensor, frames: RingFrames, pixels: Pixels, known: Rotation, rng: np.random.Generator
) -> RingFrames:
    """Draw frames from an intensity in known orientations, as bright as the hits and with their background.

    Parameters
    ----------
    intensity : (m, m, m)
        Photons per frame and unit weight.
    frames : RingFrames
        The hits: their rings, numbers of photons and background.
    pixels : Pixels
        The detector.
    known : Rotation
        One rotation a frame.
    rng : numpy Generator
        Of photons, and of which hit each frame is as bright as.
    """
    used, n = np.flatnonzero(pixels.used), len(known)
    counts = frames.everyones(frames.counts.sum(1)).numpy()
    like = rng.integers(0, len(counts), n)
    q, weight = pixels.q[used], pixels.weight[used]
    glow, share = np.zeros(len(used)), np.zeros(n)
    if frames.background is not None and frames.share is not None:
        glow = np.interp(np.hypot(q[:, 0], q[:, 1]), frames.rings.radius, frames.background.double().numpy())
        share = frames.everyones(frames.share).double().numpy()[like]
    own = None if frames.mask is None else frames.everyones(frames.mask).numpy()[like]
    rows = []
    for start in range(0, n, _DRAWN_AT_ONCE):
        part = slice(start, start + _DRAWN_AT_ONCE)
        places = torch.from_numpy((q @ known[part].as_matrix().swapaxes(1, 2)).astype(np.float32))
        mean = (sample(intensity, places).double().numpy() + share[part, None] * glow) * weight
        if own is not None and pixels.good is not None:
            mean *= pixels.good[own[part]][:, used]
        mean *= (counts[like[part]] / mean.sum(1).clip(1e-12))[:, None]
        rows.append(sp.csr_matrix(rng.poisson(mean).astype(np.float32)))
    photons = sp.csr_matrix(sp.vstack(rows))
    whole = sp.csr_matrix((photons.data, used[photons.indices], photons.indptr), (n, len(pixels.weight)))
    made = ring_frames(whole, pixels, frames.rings, mask=own)
    if frames.share is None:
        return made
    return replace(made, background=frames.background, share=torch.from_numpy(share.astype(np.float32)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Recovery:
    """What became of frames that were drawn from the merged intensity, evenly, and oriented from nothing.

    Attributes
    ----------
    likeness : (n_shells,) float64
        Correlation of what they make with the intensity they were drawn from.
    evenness : float
        Share of view directions on which they ended up (`coverage.evenness`).
    """

    likeness: NDArray[np.float64]
    evenness: float


def recover(
    model: Model,
    frames: RingFrames,
    pixels: Pixels,
    march: March,
    halves: NDArray[np.float64],
    *,
    starts: int,
    seed: int,
) -> Recovery:
    """Draw as many frames as are in a half from an intensity, in even orientations, and orient them from nothing.

    Halves of the hits share the mistakes that this particle leads to: frames in a view that looks like their own,
    structure that smoothing levels. A set drawn from the result makes the same mistakes, and here the truth is known:
    a parametric bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, 6.5) of the whole merge. A start
    that ends where frames are less likely than by the intensity that they were drawn from may have failed, as one of
    the halves' that disagree. Where it also gives back less than the halves promise, it is made again, and the
    likeliest counts.

    Parameters
    ----------
    model : Model
        The merged intensity.
    frames : RingFrames
        The hits: their number, brightness and background.
    pixels : Pixels
        The detector.
    march : March
        As for the merge.
    halves : (n_shells,)
        Correlation of the hits' halves at q = 0, 1, 2, … voxels; NaN where unmeasured.
    starts : int
        Tries, at most.
    seed : int
        Of what is drawn, of the starts and views.
    """
    team = frames.team
    n = int(team.total(torch.tensor(len(frames)))) // 2
    rng = np.random.default_rng((seed, 11))
    drawn = drawn_frames(model.intensity.cpu(), frames, pixels, Rotation.random(n, random_state=rng), rng)
    if team.size > 1:
        drawn = replace(drawn.select(np.arange(n)[team.share(n, MOST)]), team=team)
    march, low = replace(march, memory=NoMemory(), observer=silent), min(max(0.8 / march.extent, 3), march.q_max / 2)
    views = turned_views(march.n_views(march.q_max), np.random.default_rng((seed, 13)), march.group)
    right = place(drawn, model.intensity, views, n_rings=drawn.rings.within(march.q_max))
    expected = float(team.total(right.log_likelihood.double().sum()))
    best, likeness = (-np.inf, np.zeros((0, 3, 3), np.float32)), np.zeros(len(halves))
    known, q = np.isfinite(halves), np.arange(len(halves), dtype=np.float64)
    promised = np.sqrt(halves[known].clip(0))
    for start in range(starts):
        done = run_march(drawn, march, 1000 * seed + 500 + start)
        likelihood = float(team.total(done.found.log_likelihood.double().sum()))
        if team.first(likelihood > best[0]):
            found = concluded(done, drawn, march).model.relative.cpu()
            turn = align(model.relative.cpu(), found, q_min=low, q_max=0.95 * march.q_max)
            likeness = sphere_correlation(model.relative.cpu(), found, turn, q)
            best = (likelihood, drawn.everyones(torch.from_numpy(done.rotations)).numpy())
        likely = best[0] >= expected - _OWN_NOISE * n
        if team.first(likely or float(np.mean(promised - np.nan_to_num(likeness[known]))) < _SLIGHT):
            break
    return Recovery(likeness=likeness, evenness=evenness(best[1], march.group))


def _nearest(known: NDArray[np.float64], found: Floats, group: NDArray[np.float64]) -> Floats:
    """Return the angle between orientations, by the symmetry operation that makes it smallest, ``(n,)``, rad."""
    turns = np.einsum("gij,njk,nlk->gnil", group, known, found)
    cosine = (np.trace(turns, axis1=2, axis2=3).max(0) - 1) / 2
    return np.arccos(np.clip(cosine, -1, 1)).astype(np.float32)
