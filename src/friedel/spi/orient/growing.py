"""A merged intensity that grows with the hits: two halves, and new frames added to them a few hundred at a time.

Each half is an incremental expectation maximisation (Neal & Hinton, Learning in Graphical Models, 1998, 355; its sums
fade as in Cappé & Moulines, J. R. Stat. Soc. B 71, 593 (2009)): new frames, and some of the older, get their posterior
by the half's model, their photons are added to what is kept of the half's sums, and the sums become the next model. A
model of few frames may be wrong; so whenever their number has doubled all are oriented anew, from random starts. In sum
that costs twice the last time.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.machine.threads import single_thread
from friedel.core.observer import Observer, silent
from friedel.spi.orient.coverage import evenness
from friedel.spi.orient.lit import LEAST_PHOTONS, photons_on
from friedel.spi.orient.march import (
    THOROUGH,
    Iteration,
    March,
    Model,
    compress,
)
from friedel.spi.orient.matching.match import judge_over, match
from friedel.spi.orient.quality import DOUBTED, EVEN, SURE, MergeQuality, corrected
from friedel.spi.orient.rings import Pixels, RingFrames, Rings, ring_frames, upright
from friedel.spi.orient.solve import OrientOptions, agreeing, compare, joint, prepare, tested
from friedel.spi.orient.speckle import lay_frames
from friedel.spi.orient.views import turned_views
from friedel.spi.orient.volume import Merge

FIRST = 300
"""Frames with which the first march begins: a few hundred, of some hundred photons each, are the least that agree."""
GROWN = 2.0  # times the frames of the last march, at which all are oriented anew
_LEAST_NEW, _NEW = 40, 0.1
"""New frames that are added at once: so many at least, and this share of those there are; fewer cost the same, for most
of an update is sampling and smoothing the volume."""
_AT_ONCE = 2000
"""Frames that an update places, the new ones and older ones anew: up to so many it is an iteration over all of them,
which costs as much as sampling and smoothing the volume."""
MOST = 20_000
"""Frames that are kept to be oriented anew, the newest: 80 MB of 500 photons each."""
ENOUGH = 0.01
"""Least that twice the frames must raise the expected correlation with the truth by, to be called worth it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Growth:
    """A merged intensity on the way.

    Attributes
    ----------
    n_frames : int
        Frames in it.
    intensity : (n, n, n) float32
        Mean of the halves, (z, y, x), origin at ``n // 2``, photons per frame and unit weight.
    quality : MergeQuality
        Of the halves, with q in voxels.
    views : (n, 3) float32
        Where the beam went through the particle, unit vectors (x, y, z), for the first half's frames.
    """

    n_frames: int
    intensity: NDArray[np.float32]
    quality: MergeQuality
    views: NDArray[np.float32]

    @property
    def expected(self) -> float:
        """Expected mean correlation with the truth if there were twice the frames.

        Signal over noise of a half, C / (1 − C) by shell, doubles with the frames; that orientations get better as
        well isn't counted.
        """
        halves = np.clip(np.nan_to_num(self.quality.halves), 0, 0.9999)
        ratio = 2 * halves / (1 - halves)
        known = np.isfinite(self.quality.halves)
        shared = self.quality.corrected / corrected(self.quality.halves).clip(1e-6)  # lost by both halves: it stays
        return float((shared * corrected(ratio / (1 + ratio)))[known].mean()) if known.any() else 0.0

    @property
    def _cause(self) -> str:
        quality = self.quality
        if quality.evenness < EVEN:
            return f": hits crowd on {quality.evenness:.0%} of all view directions"
        if quality.mean_recovered is not None and quality.mean_corrected < SURE:
            return f": frames drawn from it give it back at {quality.mean_recovered:.2f}"
        return ""

    @property
    def sentence(self) -> str:
        """How it stands, and whether more frames help."""
        if self.quality.agreement < DOUBTED:
            return f"{self.n_frames} hits: the halves don't agree yet ({self.quality.mean_halves:.2f}); more are needed"
        now, then = self.quality.mean_corrected, self.expected
        doubt = "" if self.quality.verdict == "trust" else f" ({self.quality.verdict}{self._cause})"
        helps = "twice as many would make it" if then - now >= ENOUGH else "more hardly help: twice as many make it"
        return f"{self.n_frames} hits: correlation with the truth {now:.3f}{doubt}; {helps} {then:.3f}"


@dataclass
class _Half:
    """One half's model, its sums, and the orientations of its frames, ``(n_frames, 3, 3)``."""

    model: Model
    merge: Merge
    turns: NDArray[np.float32]


class GrowingMerge:
    """Two halves of a run's hits, oriented from independent starts, that grow as hits come.

    Frames with even numbers are one half, those with odd ones the other, in the order in which they come.

    Parameters
    ----------
    pixels : Pixels
        Where the pixels lie in the volume, voxels, and their weights.
    options : OrientOptions, optional
        Symmetry, starts, seed.
    first : int
        Frames with photons with which the first march begins.
    observer : Observer
        Told the iterations of a march.
    """

    def __init__(
        self, pixels: Pixels, options: OrientOptions | None = None, *, first: int = FIRST, observer: Observer = silent
    ) -> None:
        self._pixels, _ = upright(pixels)
        # Hits come faster than frames could be refined one by one; the batch does it.
        self._options, self._observer = replace(options or OrientOptions(), refine=False), observer
        self._first, self._photons = first, sp.csr_matrix((0, len(pixels.weight)), dtype=np.float32)
        self._dropped = self._done = self._marched = 0
        self._march: March  # from the first march on, as is
        self._rings: Rings
        self._halves: list[_Half] = []
        self._evidence: list[NDArray[np.float32]] = []
        self._tested: MergeQuality | None = None
        self._rng = np.random.default_rng(self._options.seed)

    @property
    def n_frames(self) -> int:
        """Frames with photons that have come."""
        return self._dropped + int(self._photons.shape[0])

    @property
    def waiting(self) -> int:
        """Of these, how many aren't in the intensity yet."""
        return self.n_frames - self._done

    def add(self, photons: sp.csr_matrix) -> None:
        """Take frames ``(n, n_pixels)``; those with hardly a photon are left out.

        Raises
        ------
        InputError
            If they don't fit the detector.
        """
        lit = photons[np.flatnonzero(photons_on(photons, self._pixels) >= LEAST_PHOTONS)]
        self._photons = sp.csr_matrix(sp.vstack([self._photons, lit]), dtype=np.float32)
        over = self._photons.shape[0] - MOST
        if over > 0:
            over += over % 2  # so that a frame stays in its half
            self._photons, self._dropped = self._photons[over:], self._dropped + over

    def step(self) -> Growth | None:
        """Do what the frames are enough for: orient all anew, or add the new ones; None if neither is due.

        Raises
        ------
        InputError
            If the frames show nothing to orient by.
        """
        n = self.n_frames
        due = n >= self._first and n >= GROWN * self._marched
        if not due and (not self._halves or self.waiting < max(_LEAST_NEW, _NEW * self._done)):
            return None
        with single_thread():
            if due:
                self._orient_all()
            else:
                self._add_new()
            return self._growth()

    def _orient_all(self) -> None:
        """Orient all frames anew, from random starts: a model of few frames may be wrong, and what grew from it."""
        speckle, frames = lay_frames(self._photons, self._pixels)
        self._march = prepare(frames, self._pixels, speckle, self._options, self._observer)
        self._rings = frames.rings
        parts = [frames.select(np.arange(half, len(frames), 2)) for half in (0, 1)]

        done = agreeing(parts, self._march, self._options)
        self._tested = None
        self._halves = [_Half(half.model, half.merge, half.rotations) for half in done]
        self._evidence = [self._foretold(parts[half], self._halves[1 - half]) for half in (0, 1)]
        self._marched = self._done = self.n_frames

    def _add_new(self) -> None:
        """Place the new frames, and as many older ones anew as are taken at once, by the models of their halves."""
        start, n = max(self._done - self._dropped, 0), self._photons.shape[0]
        older = self._rng.permutation(start)[: max(_AT_ONCE - (n - start), 0)]
        for_half = [(np.arange(start + (start + half) % 2, n, 2), older[older % 2 == half]) for half in (0, 1)]
        new, old = zip(*for_half, strict=True)
        parts = [self._on_rings(numbers) for numbers in new]
        self._evidence += [self._foretold(parts[half], self._halves[1 - half]) for half in (0, 1)]
        self._halves = [
            self._grown(half, self._on_rings(np.concatenate(numbers)), taken=len(np.concatenate(numbers)) / (n / 2))
            for half, *numbers in zip(self._halves, new, old, strict=True)
        ]
        self._done = self.n_frames

    def _on_rings(self, numbers: NDArray[np.int64]) -> RingFrames:
        return ring_frames(self._photons[numbers], self._pixels, self._rings)

    def _grown(self, half: _Half, frames: RingFrames, *, taken: float) -> _Half:
        """Return a half after an iteration over some of its frames: its sums keep what the share ``taken`` leaves."""
        march, kept = self._march, max(1 - taken, 0.0)
        views = self._turned()
        n_rings = frames.rings.within(march.q_max)
        found, new = match(frames, half.model.intensity, views, n_rings=n_rings, group=march.group)
        merge = Merge(kept * half.merge.photons + new.photons, kept * half.merge.exposure + new.exposure)
        model = compress(merge, half.model, march, q_max=march.q_max)
        done = Iteration(model=model, found=found, merge=new, views=views, q_max=march.q_max)
        return _Half(model, merge, np.concatenate([half.turns[: round(kept * len(half.turns))], done.rotations]))

    def _foretold(self, frames: RingFrames, half: _Half) -> NDArray[np.float32]:
        """Return each frame's evidence for a half that it isn't in."""
        n_rings = frames.rings.within(self._march.q_max)
        return judge_over(frames, half.model.intensity, self._turned(), n_rings=n_rings).evidence.numpy()

    def _turned(self) -> Tensor:
        return turned_views(self._march.n_views(self._march.q_max), self._rng, self._march.group)

    def _growth(self) -> Growth:
        march, halves = self._march, self._halves
        models = [compress(half.merge, half.model, march, q_max=march.q_max, steps=THOROUGH) for half in halves]
        quality, rotation = compare(models, march, self._pixels, named=0, evidence=np.concatenate(self._evidence))
        quality = replace(quality, evenness=min(evenness(half.turns, march.group) for half in halves))
        whole = joint(models, rotation)
        if self._tested is None:  # once after all were oriented anew: it costs as much as a half's march
            frames = self._on_rings(np.arange(self._photons.shape[0]))
            self._tested = tested(quality, whole, frames, self._pixels, march, replace(self._options, starts=1))
        then = self._tested
        if then.recovered is not None:  # what halves lose alike stays lost; what they know more since counts
            shared = then.corrected / corrected(then.halves).clip(1e-6)
            recovered = shared * np.sqrt(np.nan_to_num(quality.halves).clip(0))
            quality = replace(quality, recovered=recovered, recovered_evenness=then.recovered_evenness)
        return Growth(
            n_frames=self._done,
            intensity=whole.intensity.numpy(),
            quality=quality,
            views=np.ascontiguousarray(halves[0].turns[:, :, 2]),
        )
