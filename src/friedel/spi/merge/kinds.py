"""Several particles in one run: which frame shows which. Each one's frames are then merged by themselves.

Expectation maximisation of a mixture: as many models as particles, from random starts, each an intensity that is
oriented as a single one is; a frame belongs to each by its likelihood over all of that one's orientations. The march
ends at the resolution at which frames are told apart, for each particle is merged anew from its own frames, with half
sets, a verdict and a report of its own: a wrong sorting shows there. Patterns that don't turn (`still`) stand beside
them: frames that show one belong to no particle.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.errors import InputError
from friedel.core.machine.threads import single_thread
from friedel.core.observer import Note, Observer, Progress, silent
from friedel.spi.merge.still import StillPatterns
from friedel.spi.orient.lit import LEAST_FRAMES, LEAST_PHOTONS, photons_on
from friedel.spi.orient.march import ANNEALED, March, Model, iterate, random_model
from friedel.spi.orient.rings import Pixels, RingFrames, upright
from friedel.spi.orient.solve import OrientOptions, prepare
from friedel.spi.orient.speckle import lay_frames

_MOST_ITERATIONS = 12  # of a stage
_STILL = 0.01  # mean change of the shares at which a stage ends
_SURE = 0.9  # share at which a frame belongs to one
_UNEVEN = 0.2
"""Spread of the shares that frames begin with: enough that models grow apart, too little to decide for a frame."""
_LEAST = 1e-3  # share of all frames: a model never vanishes altogether
_STARTS = 2  # of which the likelier is taken


@dataclass(frozen=True, eq=False, kw_only=True)
class Kinds:
    """Which frame shows which particle.

    Attributes
    ----------
    share : (n_frames, n_kinds) float32
        Probability of each; NaN for frames with hardly a photon. The first is the most frequent; patterns that don't
        turn come last.
    patterns : (n_still, n_pixels) float32
        What doesn't turn, relative to its mean; NaN where nothing was measured.
    """

    share: NDArray[np.float32]
    patterns: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @property
    def kind(self) -> NDArray[np.int64]:
        """Number of each frame's particle; -1 where none is probable enough."""
        known = np.nan_to_num(self.share)
        return np.where(known.max(1) >= _SURE, known.argmax(1), -1)

    @property
    def sentence(self) -> str:
        """How many frames show which."""
        counts = [str(int((self.kind == number).sum())) for number in range(self.share.shape[1])]
        n = len(counts) - len(self.patterns)
        still = f"; {', '.join(counts[n:])} a pattern that doesn't turn" if len(self.patterns) else ""
        return f"{', '.join(counts[:n])} frames show one particle each{still}; {int((self.kind < 0).sum())} are unsure"


def sort_frames(
    photons: sp.csr_matrix,
    pixels: Pixels,
    n_kinds: int,
    options: OrientOptions | None = None,
    *,
    n_still: int = 0,
    mask: NDArray[np.int64] | None = None,
    observer: Observer = silent,
) -> Kinds:
    """Tell which frame shows which of several particles.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        Photons.
    pixels : Pixels
        Where the pixels lie in the volume, voxels, and their weights.
    n_kinds : int
        How many particles, or conformations, there are.
    options : OrientOptions, optional
        Seed, diameter.
    n_still : int
        Patterns beside them that don't turn.
    mask : (n_frames,) int, optional
        Which of the pixels' masks each frame has.
    observer : Observer
        Told the progress and the outcome.

    Raises
    ------
    InputError
        If frames and detector don't fit, or frames are too few for so many particles.
    """
    options = options or OrientOptions()
    lit = np.flatnonzero(photons_on(photons, pixels) >= LEAST_PHOTONS)
    if len(lit) < 2 * n_kinds * LEAST_FRAMES:
        raise InputError(
            f"{len(lit)} frames are too few for {n_kinds} particles; {2 * n_kinds * LEAST_FRAMES} are tried"
        )
    with single_thread():
        pixels, _ = upright(pixels)
        own = None if mask is None else mask[lit]
        speckle, frames = lay_frames(
            photons[lit], pixels, diameter=options.diameter or 0.0, engine=options.engine, mask=own
        )
        march = prepare(frames, pixels, speckle, OrientOptions(), silent)
        still = StillPatterns(frames, n_still)
        found = [_sorted(frames, march, n_kinds, still, options.seed + 7 * start, observer) for start in range(_STARTS)]
    share, _ = max(found, key=lambda one: one[1])
    parts = share[:, :n_kinds], share[:, n_kinds:]
    turning, fixed = (part[:, part.sum(0).argsort(descending=True)] for part in parts)
    every = np.full((photons.shape[0], n_kinds + n_still), np.nan, np.float32)
    every[lit] = torch.cat([turning, fixed], 1).numpy()
    kinds = Kinds(share=every, patterns=still.on_detector(fixed, photons.shape[1]))
    observer(Note("kinds", kinds.sentence))
    return kinds


def _sorted(
    frames: RingFrames, march: March, n_kinds: int, still: StillPatterns, seed: int, observer: Observer
) -> tuple[Tensor, float]:
    """Return each frame's shares, ``(n_frames, n_kinds + n_still)``, and the log-likelihood of all, from one start.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    march : March
        Stages.
    n_kinds : int
        Particles that turn.
    still : StillPatterns
        What doesn't. In the first stage it keeps the frames that it begins with.
    seed : int
        Of the start.
    observer : Observer
        Told the progress.
    """
    rng = np.random.default_rng((seed, 21))
    models: list[Model] = [random_model(frames, march, 100 * seed + 50 + number) for number in range(n_kinds)]
    uneven = 1 + _UNEVEN * rng.standard_normal((len(frames), n_kinds))
    share = torch.from_numpy((uneven / uneven.sum(1, keepdims=True)).astype(np.float32)).clamp(0, 1)
    begun = still.begin(rng)
    share = torch.cat([share * (1 - begun.sum(1, keepdim=True)), begun], 1)
    likelihood = -np.inf
    for stage, q_max in enumerate(march.stages):
        betas = ANNEALED if stage == 0 else ()
        for number in range(_MOST_ITERATIONS):
            beta = betas[number] if number < len(betas) else 1.0
            done = [
                iterate(model, frames, march, rng, q_max=q_max, beta=beta, part=share[:, kind])
                for kind, model in enumerate(models)
            ]
            models = [one.model for one in done]
            n_rings, first = frames.rings.within(q_max), done[0].found.photons
            likely = torch.stack([one.found.log_likelihood for one in done], 1).double()
            likely -= still.radial(n_rings, by_pixel=frames.rings.plain)[:, None]
            likely -= np.log(first.shape[0] * first.shape[2])  # the mean over orientations, not their sum
            if still.n:
                fixed = still.likely(share[:, n_kinds:], n_rings)
                if stage == 0:  # a random model explains no frame: those that patterns began with stay with them
                    fixed = fixed.where(share[:, n_kinds:] > 0, -torch.inf)
                    likely = likely.where(share[:, n_kinds:].sum(1, keepdim=True) == 0, -torch.inf)
                likely = torch.cat([likely, fixed], 1)
            scores = beta * likely + share.double().mean(0).clamp_min(_LEAST).log()
            now = torch.softmax(scores, 1).float()
            moved, share = float((now - share).abs().mean()), now
            likelihood = float(torch.logsumexp(likely + share.double().mean(0).clamp_min(_LEAST).log(), 1).sum())
            observer(Progress("sorting", number + 1, _MOST_ITERATIONS, {"q": q_max, "moved": moved}))
            if number >= len(betas) and moved < _STILL:
                break
    return share, likelihood
