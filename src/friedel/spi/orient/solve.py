"""Orient frames: what is prepared for the march, two half sets, their agreement, and the last run over all frames.

Two halves of the frames are oriented from independent starts. Their agreement is the quality, and their mean the start
of the last iterations, with all frames: the halves cost no more than one run over all frames would. Frames that fit no
orientation are left out of both.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel.core.errors import InputError
from friedel.core.machine.team import working_together
from friedel.core.machine.threads import in_threads, single_thread
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.spi.orient.align import align, chance_correlation, sphere_correlation, turned
from friedel.spi.orient.background import with_background
from friedel.spi.orient.bootstrap import Sentinels, recover, resampled, sentinels
from friedel.spi.orient.coverage import evenness
from friedel.spi.orient.lit import lit_frames
from friedel.spi.orient.march import Iteration, March, Memory, Model, concluded, iterate, run_march
from friedel.spi.orient.matching.expect import MOST, Judgement
from friedel.spi.orient.matching.match import judge_over
from friedel.spi.orient.quality import DOUBTED, EVEN, MergeQuality, outliers, resolved
from friedel.spi.orient.rings import SYMMETRIC, Pixels, RingFrames, upright
from friedel.spi.orient.speckle import MARGIN, Engine, Speckle, lay_frames, shell_variance
from friedel.spi.orient.views import symmetry_group, turned_views

_LEAST_SHARE = 20  # frames of a process: fewer would leave it waiting for the others
_FEW = 0.02
"""Share of outliers up to which the halves, made with them, aren't made again: a hundredth costs 0.001 of agreement."""


@dataclass(frozen=True, kw_only=True)
class OrientOptions:
    """How to orient.

    Attributes
    ----------
    symmetry : str
        Point group imposed: "C1" (none), "C5", "D2", "T", "O", "I".
    starts : int
        Tries a half gets, at most, while the halves disagree or crowd on some view directions.
    name_outliers : bool
        Leave out frames that fit no orientation.
    diameter : float, optional
        Of the particle, in inverse units of q; None: as far as the speckles show it.
    bootstrap : int
        Draws of the frames from which the errors of the intensity follow; 0: none.
    sentinels : int
        Frames of known orientation that are oriented beside; 0: none.
    engine : str
        How frames are compared with slices: "harmonics", "plain" (pixel by pixel, for any geometry, ten times the
        time), or "auto": harmonics where pixels lie on a cap that is symmetric around the beam.
    refine : bool
        Merge frames at their likeliest orientations, off the grid of views.
    seed : int
        Of halves, starts and views.
    """

    symmetry: str = "C1"
    starts: int = 3
    name_outliers: bool = True
    diameter: float | None = None
    bootstrap: int = 0
    sentinels: int = 0
    engine: Engine = "auto"
    refine: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Oriented:
    """Frames with their orientations, and the intensity they make; arrays over frames are in the frames' order.

    Attributes
    ----------
    intensity : (n, n, n) float32
        (z, y, x), origin at ``n // 2``, photons per frame and unit weight.
    exposure : (n, n, n) float32
        What a unit of intensity gave in each voxel, all frames together; 0 where nothing was measured.
    rotations : (n_frames, 3, 3) float32
        R takes the detector's q to the particle's; NaN for frames that were set aside.
    fluence, fit, surprise, uncertainty, log_likelihood : (n_frames,) float32
        Relative fluence (mean 1); `Judgement` of each frame by the half that it isn't in; the angular uncertainty in
        radians; see `Expectation`.
    used : (n_frames,) bool
        Frames that are in the intensity.
    halves : (Model, Model)
        The halves' intensities, the second turned onto the first.
    quality : MergeQuality
        With q in voxels.
    resampled : (n_draws, n, n, n) float32
        Intensities of the bootstrap's draws.
    sentinels : Sentinels or None
        Frames of known orientation, as they were oriented.
    """

    intensity: NDArray[np.float32]
    exposure: NDArray[np.float32]
    rotations: NDArray[np.float32]
    fluence: NDArray[np.float32]
    fit: NDArray[np.float32]
    surprise: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    log_likelihood: NDArray[np.float32]
    used: NDArray[np.bool_]
    halves: tuple[NDArray[np.float32], NDArray[np.float32]]
    quality: MergeQuality
    resampled: NDArray[np.float32]
    sentinels: Sentinels | None


def orient(
    photons: sp.csr_matrix,
    pixels: Pixels,
    options: OrientOptions | None = None,
    *,
    mask: NDArray[np.int64] | None = None,
    blank: NDArray[np.float64] | None = None,
    memory: Memory | None = None,
    observer: Observer = silent,
) -> Oriented:
    """Orient sparse frames and merge them.

    Processes that torchrun started share the frames, and all get the whole result: each must be given all frames.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        Photons.
    pixels : Pixels
        Where the pixels lie in the volume, voxels, and their weights.
    options : OrientOptions, optional
        Symmetry, starts, seed.
    mask : (n_frames,) int, optional
        Which of the pixels' masks (`Pixels.good`) each frame has; there are no photons outside it.
    blank : (n_pixels,), optional
        Mean photons of a frame without a particle (`with_background`).
    memory : Memory, optional
        Keeps models from stage to stage.
    observer : Observer
        Told the progress, notes and warnings.

    Raises
    ------
    InputError
        If frames, blanks and detector don't fit, or too few frames have photons.
    FriedelError
        If another process that shares the work has ended.
    """
    options = options or OrientOptions()
    # The halves run side by side: no thread waits for another inside an operation.
    with single_thread(), working_together() as team:
        observer = observer if team.rank == 0 else silent
        lit = lit_frames(photons, pixels, observer)
        pixels, turn = upright(pixels)
        if len(lit) < _LEAST_SHARE * team.size:
            raise InputError(f"{len(lit)} frames are too few for {team.size} processes; start fewer of them")
        halves = half_sets(len(lit), options.seed)
        numbers = np.sort(np.concatenate([half[team.share(len(half), MOST)] for half in halves]))
        mask = None if mask is None else mask[lit]
        speckle, frames = lay_frames(
            photons[lit],
            pixels,
            diameter=options.diameter or 0.0,
            engine=options.engine,
            team=team,
            numbers=numbers,
            mask=mask,
        )
        if blank is not None:
            if mask is not None and pixels.good is not None:
                blank = blank * (np.bincount(mask, minlength=len(pixels.good)) / len(mask) @ pixels.good)
            frames = with_background(frames, blank, pixels, extent=speckle.extent)
        march = prepare(frames, pixels, speckle, options, observer)
        if memory is not None:
            march = replace(march, memory=memory)
        found = _orient(frames, pixels, march, options, halves)
    found = replace(found, rotations=(found.rotations @ turn).astype(np.float32))
    return _in_order(found, lit, photons.shape[0])


def _in_order(found: Oriented, lit: NDArray[np.int64], n_frames: int) -> Oriented:
    """Return the result with its figures in the order of all frames; NaN for frames that were set aside."""
    names = ("rotations", "fluence", "fit", "surprise", "uncertainty", "log_likelihood")
    whole = {name: np.full((n_frames, *getattr(found, name).shape[1:]), np.nan, np.float32) for name in names}
    for name, column in whole.items():
        column[lit] = getattr(found, name)
    used = np.zeros(n_frames, bool)
    used[lit] = found.used
    changed: dict[str, Any] = {"used": used, **whole}
    return replace(found, **changed)


def _orient(
    frames: RingFrames, pixels: Pixels, march: March, options: OrientOptions, half_numbers: list[NDArray[np.int64]]
) -> Oriented:
    team = frames.team
    parts = [np.flatnonzero(np.isin(frames.numbers.numpy(), half)) for half in half_numbers]
    shares = [replace(frames.select(part), team=channel) for part, channel in zip(parts, team.channels(2), strict=True)]
    halves = agreeing(shares, march, options)
    judged = _judged(halves, shares, march, options)
    good = np.ones(len(frames), bool)
    if options.name_outliers:
        for share, part, one in zip(shares, parts, judged, strict=True):
            good[part] = _familiar(one, share)
    kept = frames.everyones(torch.from_numpy(good)).numpy()
    named = int((~kept).sum())
    if named:
        march.observer(Warned("outliers", f"{named} of {len(kept)} frames fit no orientation and are left out"))
    if named > _FEW * len(kept):
        shares = [share.select(np.flatnonzero(good[part])) for share, part in zip(shares, parts, strict=True)]
        halves = [_again(half, share, march, options) for half, share in zip(halves, shares, strict=True)]
    models = list(in_threads(lambda pair: concluded(*pair, march).model, zip(halves, shares, strict=True)))
    evidence = team.joined(torch.cat([one.evidence[good[part]] for one, part in zip(judged, parts, strict=True)]))
    quality, rotation = compare(models, march, pixels, named=named, evidence=evidence.cpu().numpy())
    second = turned(models[1].intensity.cpu(), rotation)
    chosen = frames if good.all() else frames.select(np.flatnonzero(good))
    last = _together(joint(models, rotation), chosen, march, options)
    figures = _oriented(last, judged, good, parts, frames)
    quality = replace(quality, evenness=evenness(figures["rotations"][figures["used"]], march.group))
    quality = tested(quality, last.model, chosen, pixels, march, options)
    march.observer(Note("halves", quality.sentence))
    known = None
    if options.sentinels:
        pair = (models[0].intensity.cpu(), second)
        known = sentinels(pair, frames, pixels, march, options.sentinels, seed=options.seed)
        march.observer(Note("sentinels", known.sentence))
    n = last.model.intensity.shape[0]
    draws = np.zeros((0, n, n, n), np.float32)
    if options.bootstrap:
        draws = resampled(chosen, last.model, march, options.bootstrap, seed=options.seed)
    return Oriented(
        resampled=draws,
        sentinels=known,
        intensity=last.model.intensity.cpu().numpy(),
        exposure=last.merge.exposure.cpu().numpy(),
        halves=(models[0].intensity.cpu().numpy(), second.numpy()),
        quality=quality,
        **figures,
    )


def prepare(frames: RingFrames, pixels: Pixels, speckle: Speckle, options: OrientOptions, observer: Observer) -> March:
    """Return what a march needs beside its frames, and tell what the frames show.

    Parameters
    ----------
    frames : RingFrames
        All frames.
    pixels : Pixels
        Where they were measured.
    speckle : Speckle
        What they say about speckles.
    options : OrientOptions
        Symmetry.
    observer : Observer
        Told the size of the speckles, or that there are none.
    """
    q_max = float(np.linalg.norm(pixels.q[pixels.used], axis=1).max())
    place, worth = np.arange(2 * int(frames.rings.q[-1]) + 8), np.ones(len(frames.rings.q))
    if frames.background is not None:
        worth -= (frames.background * frames.weights[0].real / frames.mean).double().numpy()
    variance = shell_variance(frames, speckle.extent) / worth**2
    radial = [np.interp(place, frames.rings.q, values).astype(np.float32) for values in (variance.clip(max=1.5), worth)]
    march = March(
        extent=speckle.extent,
        reach=MARGIN * speckle.finest,
        q_max=q_max,
        variance=torch.from_numpy(radial[0]),
        worth=torch.from_numpy(radial[1]),
        group=symmetry_group(options.symmetry),
        observer=observer,
        refine=options.refine,
    )
    if frames.rings.off > SYMMETRIC:
        observer(
            Warned(
                "geometry",
                f"pixels lie up to {frames.rings.off:.1f} voxels off a cap around the beam, and on no sphere through "
                "the origin: frames are compared pixel by pixel, which takes ten times the time. Are these q of one "
                "detector and one photon energy?",
            )
        )
    elif frames.rings.plain:
        observer(Note("engine", "frames are compared pixel by pixel, as asked; harmonics would do"))
    if not speckle.seen:
        observer(Warned("speckles", "frames show no speckle beyond shot noise: nothing tells orientations apart"))
        return march
    observer(
        Note(
            "speckles",
            f"speckles are {1 / speckle.extent:.1f} voxels wide, their visibility is {speckle.visibility:.2f}; "
            f"{float(frames.mean.sum()):.0f} photons a frame, {1 - _particle_share(frames):.0%} of "
            "them measured as background",
        )
    )
    return march


def _particle_share(frames: RingFrames) -> float:
    if frames.background is None:
        return 1.0
    return 1 - float((frames.background * frames.weights[0].real).sum() / frames.mean.sum())


def half_sets(n: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the numbers, increasing, of ``n`` frames' two halves, drawn at random."""
    shuffled = np.random.default_rng(seed).permutation(n)
    return [np.sort(shuffled[0::2]), np.sort(shuffled[1::2])]


def agreeing(shares: list[RingFrames], march: March, options: OrientOptions) -> list[Iteration]:
    """Orient two halves from independent starts; while they disagree or crowd, try again, keep each half's likeliest.

    Where no half of two that agree gets likelier by another start, more of them are left.
    """
    best: list[tuple[float, Iteration]] = []
    for start in range(options.starts):
        seeds = [1000 * options.seed + 2 * start + half for half in range(2)]
        tried = list(in_threads(lambda job: _march(job[0], march, job[1]), zip(shares, seeds, strict=True)))
        gained = not best or any(new[0] > old[0] for new, old in zip(tried, best, strict=True))
        best = [max(pair, key=lambda one: one[0]) for pair in zip(best, tried, strict=True)] if best else tried
        agree = _agreement([half.model for _, half in best], march) >= DOUBTED
        even = min(_evenness(half, share, march) for (_, half), share in zip(best, shares, strict=True)) >= EVEN
        if shares[0].team.first(agree and (even or not gained)):
            break
        said = "hits crowd on some view directions" if agree else "the halves don't agree"
        march.observer(Note("starts", f"after {start + 1} {'start' if start == 0 else 'starts'} {said}"))
    return [half for _, half in best]


def _evenness(half: Iteration, share: RingFrames, march: March) -> float:
    return evenness(share.everyones(torch.from_numpy(half.rotations)).numpy(), march.group)


def _march(frames: RingFrames, march: March, seed: int) -> tuple[float, Iteration]:
    """Return a march's log-likelihood, of all processes' frames, and its last iteration."""
    done = run_march(frames, march, seed)
    return float(frames.team.first(frames.team.total(done.found.log_likelihood.double().sum()))), done


def _inner(march: March) -> float:
    return min(max(0.12 * march.q_max, 0.8 / march.extent), 0.5 * march.q_max)


def _agreement(models: list[Model], march: March) -> float:
    first, second = (model.relative.cpu() for model in models)
    rotation = align(first, second, q_min=_inner(march), q_max=0.9 * march.q_max)
    shells = np.arange(_inner(march), march.q_max, dtype=np.float64)
    return float(np.nanmean(sphere_correlation(first, second, rotation, shells)))


def _judged(halves: list[Iteration], shares: list[RingFrames], march: March, options: OrientOptions) -> list[Judgement]:
    """Judge each half's frames by the other half's model: what a frame itself put into it can't help."""
    views = turned_views(march.n_views(march.q_max), np.random.default_rng(options.seed + 55), march.group)
    n_rings = shares[0].rings.within(march.q_max)

    def one(job: tuple[Iteration, RingFrames]) -> Judgement:
        other, share = job
        return judge_over(share, other.model.intensity, views, n_rings=n_rings)

    return list(in_threads(one, zip(halves[::-1], shares, strict=True)))


def _familiar(judged: Judgement, frames: RingFrames) -> NDArray[np.bool_]:
    """Return which of this process's frames fit an orientation as well as all processes' others do."""
    columns = torch.stack([judged.fit.cpu(), judged.surprise.cpu(), frames.counts.sum(1)], dim=1)
    return ~frames.ours(torch.from_numpy(outliers(*frames.everyones(columns).numpy().T))).numpy()


def _again(half: Iteration, frames: RingFrames, march: March, options: OrientOptions) -> Iteration:
    rng = np.random.default_rng(options.seed + 77)
    return iterate(half.model, frames, march, rng, q_max=march.q_max)


def compare(
    models: list[Model], march: March, pixels: Pixels, *, named: int, evidence: NDArray[np.float32]
) -> tuple[MergeQuality, Rotation]:
    """Return the quality of two halves, and the rotation that turns the second onto the first.

    Parameters
    ----------
    models : list of two Model
        The halves'.
    march : March
        Their extent and resolution.
    pixels : Pixels
        Where the frames were measured.
    named : int
        Frames left out.
    evidence : (n_frames,)
        `Judgement.evidence` of each half's frames by the other half.
    """
    first, second = (model.relative.cpu() for model in models)
    low, q = _inner(march), np.arange(int(march.q_max) + 1, dtype=np.float64)
    rotation = align(first, second, q_min=low, q_max=0.95 * march.q_max)
    halves = sphere_correlation(first, second, rotation, q)
    halves[: int(np.ceil(np.linalg.norm(pixels.q[pixels.used], axis=1).min())) + 1] = np.nan
    quality = MergeQuality(
        q=q,
        halves=halves,
        chance=chance_correlation(first, second, q, q_min=low, q_max=0.95 * march.q_max),
        q_resolved=resolved(q, halves),
        named=named,
        evidence=float(evidence.mean()),
        evidence_error=float(evidence.std() / np.sqrt(len(evidence))),
    )
    return quality, rotation


def tested(
    quality: MergeQuality, model: Model, frames: RingFrames, pixels: Pixels, march: March, options: OrientOptions
) -> MergeQuality:
    """Return the quality with what a set drawn from the result shows (`recover`), where halves agree at all.

    Parameters
    ----------
    quality : MergeQuality
        Of the halves, with q in voxels.
    model : Model
        The merged intensity.
    frames : RingFrames
        The hits in it.
    pixels : Pixels
        Where they were measured.
    march : March
        As for the merge.
    options : OrientOptions
        Starts and seed.
    """
    if not frames.team.first(quality.agreement >= DOUBTED):
        return quality
    again = recover(model, frames, pixels, march, quality.halves, starts=options.starts, seed=options.seed)
    return replace(quality, recovered=again.likeness, recovered_evenness=again.evenness)


def joint(models: list[Model], rotation: Rotation) -> Model:
    """Return the mean of two halves' models, the second turned onto the first."""

    def mean(first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor:
        pair = torch.stack([values for values in (first, second) if values is not None])
        return torch.nanmean(torch.stack([pair[0], turned(pair[1], rotation)]), 0)

    return replace(
        models[0],
        intensity=mean(models[0].intensity, models[1].intensity),
        white=mean(models[0].white, models[1].white),
        bias=None,
    )


def _together(joint: Model, frames: RingFrames, march: March, options: OrientOptions) -> Iteration:
    rng = np.random.default_rng(options.seed + 99)
    last = iterate(joint, frames, march, rng, q_max=march.q_max)
    return concluded(replace(last, model=replace(last.model, bias=None)), frames, march)


def _oriented(
    last: Iteration,
    judged: list[Judgement],
    good: NDArray[np.bool_],
    parts: list[NDArray[np.int64]],
    frames: RingFrames,
) -> dict[str, NDArray[Any]]:
    """Return the figures of all processes' frames; NaN where a frame has none.

    Parameters
    ----------
    last : Iteration
        Of this process's good frames.
    judged : list of Judgement
        Of its halves.
    good : (n_frames,) bool
        Which of its frames are used.
    parts : list of (n,) int
        Which of its frames are in each half.
    frames : RingFrames
        Its frames.
    """
    rotations = np.full((len(good), 3, 3), np.nan, np.float32)
    rotations[good] = last.rotations
    names = ("fluence", "log_likelihood", "uncertainty", "fit", "surprise")
    columns = {name: np.full(len(good), np.nan, np.float32) for name in names}
    for half, part in zip(judged, parts, strict=True):
        for name in ("fit", "surprise"):
            columns[name][part] = getattr(half, name).cpu().numpy()
    for name in ("fluence", "log_likelihood"):
        columns[name][good] = getattr(last.found, name).cpu().numpy()
    columns["uncertainty"][good] = last.uncertainty
    figures = {"rotations": rotations, "used": good, **columns}
    every: dict[str, Any] = {name: frames.everyones(torch.from_numpy(one)).numpy() for name, one in figures.items()}
    every["fluence"] = every["fluence"] / np.nanmean(every["fluence"])
    return every
