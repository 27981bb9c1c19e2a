"""Expand, maximise, compress (EMC): one iteration, one stage, and the march of stages from coarse to fine.

A stage has a resolution, views to match and an inverse temperature that rises to one; it ends when the volume's outer
shells stop changing from one iteration to the next, which draw different views. The next stage sees 1.4 times as far.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.fourier import inverse_real_fourier_corner, real_fourier_corner
from friedel.core.observer import Observer, Progress
from friedel.spi.orient.coverage import bias_at, updated_bias
from friedel.spi.orient.matching.expect import Expectation
from friedel.spi.orient.matching.local import Climbed, climb, merge_at
from friedel.spi.orient.matching.match import match
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.views import in_plane, turned_views
from friedel.spi.orient.volume import (
    Merge,
    friedel_mean,
    radii,
    smooth_field,
    speckle_spectrum,
    spherical_mean,
)

FIRST = 1.6
"""Resolution of the first stage, speckles from the centre."""
GROWTH = 1.4  # of the resolution from stage to stage: the number of views, as its square, doubles
VIEW_STEP = 0.87
"""Distance of views at the resolution's edge, speckles."""
LEAST_VIEWS = 100  # of the whole sphere: some 20° apart
ANNEALED = (0.25, 0.35, 0.5, 0.7)
"""β of the first stage's first iterations; later stages begin with the last."""
SETTLED, LAST_SETTLED = 0.99, 0.98
"""Correlation of the outer shells of successive iterations at which a stage ends, and at which the last does: two more
iterations there cost an eighth of the whole and gain 0.0003."""
MOST_ITERATIONS = 15
SCATTERED = 1.5
"""Entropy, nats, of a posterior that has more than one orientation and its neighbours: 4.5 cells of the grid."""
TAIL = 1.7
"""The smoothing's ball in units of the speckles' fitted one: real particles have thinner ends than a ball."""
ENDS = 0.1  # of the speckles' variance that the smoothing expects beyond that ball
QUICK, THOROUGH = 6, 30
"""Steps of the smoothing's conjugate gradients within the march and for a result."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A volume and its radial mean.

    Attributes
    ----------
    intensity : (n, n, n) float32
        Photons per frame and unit weight.
    profile : (n_profile,) float32
        Radial mean, one value a voxel, far enough for any crop.
    white : (n, n, n) float32, optional
        White speckle behind the intensity, from which the next smoothing begins (`smooth_field`).
    bias : (n_lattice,) float32, optional
        What keeps views from crowding (`coverage`).
    """

    intensity: Tensor
    profile: Tensor
    white: Tensor | None = None
    bias: Tensor | None = None

    @property
    def relative(self) -> Tensor:
        """Intensity over its radial mean."""
        return self.intensity / spread(self.profile, self.intensity.shape[0])


@dataclass(frozen=True, eq=False, kw_only=True)
class Iteration:
    """What one iteration leaves: the new model, the posterior, the merged photons, and the views taken.

    After `refined`, also the orientations off the grid from which model and photons were made.
    """

    model: Model
    found: Expectation
    merge: Merge
    views: Tensor
    q_max: float
    climbed: Climbed | None = None

    @property
    def rotations(self) -> NDArray[np.float32]:
        """Each frame's most probable R, ``(n_frames, 3, 3)``: V Z(α), or one near it off the grid."""
        return rotations_of(self.found, self.views) if self.climbed is None else self.climbed.rotations

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """Standard deviation (rad) of a Gaussian in SO(3) with each posterior's entropy.

        Off the grid that of the likelihood's curvature, but for posteriors that are scattered; else not below a cell's.
        """
        return uncertainty_of(self.found, self.climbed)


def rotations_of(found: Expectation, views: Tensor) -> NDArray[np.float32]:
    """Return each frame's most probable R = V Z(α), ``(n_frames, 3, 3)``."""
    turns = in_plane(2 * np.pi * found.angle.cpu().numpy() / found.photons.shape[2])
    return (views[found.view].cpu().numpy() @ turns).astype(np.float32)


def uncertainty_of(found: Expectation, climbed: Climbed | None = None) -> NDArray[np.float32]:
    """Return the standard deviation (rad) of each orientation, ``(n_frames,)`` (`Iteration.uncertainty`)."""
    cells = found.photons.shape[0] * found.photons.shape[2]
    volume = np.exp(found.entropy.cpu().numpy()) * 8 * np.pi**2 / cells
    on_grid = np.cbrt(volume / (2 * np.pi * math.e) ** 1.5).astype(np.float32)
    if climbed is None:
        return on_grid
    return np.where(found.entropy.cpu().numpy() > SCATTERED, on_grid, climbed.uncertainty)


class Memory(Protocol):
    """What keeps a march's models from stage to stage, so that it can go on where it was cut off."""

    def recall(self, seed: int, stage: int) -> Model | None:
        """Return the model that a stage of a start left, or None."""
        ...

    def keep(self, seed: int, stage: int, model: Model) -> None:
        """Keep what a stage of a start left."""
        ...


class NoMemory:
    """Keeps nothing."""

    def recall(self, seed: int, stage: int) -> Model | None:
        """Return None."""
        del seed, stage
        return None

    def keep(self, seed: int, stage: int, model: Model) -> None:
        """Do nothing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class March:
    """What a march needs beside its frames.

    Attributes
    ----------
    extent : float
        The speckles' ball, cycles per voxel (`measure_speckle`).
    reach : float
        Where the speckles' power ends, cycles per voxel, if that is known to be beyond the ball.
    q_max : float
        Resolution of the last stage, voxels.
    variance : (n_profile,) float32
        Variance of the intensity over its squared mean, one value a voxel of |q| (`shell_variance`).
    worth : (n_profile,) float32
        The particle's part of all photons, by |q|: 1 without background.
    group : (order, 3, 3)
        Rotations of the particle's symmetry.
    observer : Observer
        Told each iteration.
    refine : bool
        Orientations are refined off the grid of views for a result.
    memory : Memory
        Asked for the model of each stage before it is computed, and given it after.
    """

    extent: float
    q_max: float
    variance: Tensor
    worth: Tensor
    group: NDArray[np.float64]
    observer: Observer
    memory: Memory = field(default_factory=NoMemory)
    reach: float = 0.0
    refine: bool = False

    def spectrum(self, n: int, *, device: torch.device | str | None = None) -> Tensor:
        """Return the power spectrum of speckle on a grid of ``n`` voxels (`speckle_spectrum`).

        That of a ball, and a little of a larger one's: what thin ends add. Where frames show nothing of it, the
        smoothing's noise term takes it away.
        """
        diameter = max(TAIL * self.extent, self.reach) * n
        ball, ends = (speckle_spectrum(n, size, device=device) for size in (diameter, 2 * diameter))
        return (1 - ENDS) * ball + ENDS * ends

    @property
    def stages(self) -> list[float]:
        """Resolutions, voxels; the last two are never closer than half a growth."""
        found = [min(FIRST / self.extent, self.q_max)]
        while found[-1] < self.q_max:
            further = found[-1] * GROWTH
            found.append(further if further * math.sqrt(GROWTH) < self.q_max else self.q_max)
        return found

    def n_views(self, q_max: float) -> int:
        """Return how many views of the whole sphere a resolution needs."""
        return max(LEAST_VIEWS, int(4 * math.pi * (q_max * self.extent / VIEW_STEP) ** 2))


def grid_size(q_max: float) -> int:
    """Return an odd size, quick to transform, whose inner voxels reach ``q_max``."""
    n = 2 * math.ceil(q_max + 0.5) + 1
    while any(n % p == 0 for p in (2,)) or _rest(n) > 1:
        n += 1
    return n


def _rest(n: int) -> int:
    for prime in (3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n


def spread(profile: Tensor, n: int) -> Tensor:
    """Return a radial mean as a volume ``(n, n, n)``."""
    place = radii(n, device=profile.device).clamp(max=len(profile) - 1.001)
    low = place.long()
    share = place - low
    return profile[low] * (1 - share) + profile[low + 1] * share


def frames_profile(frames: RingFrames) -> Tensor:
    """Return the frames' mean over each ring, photons per frame and unit weight, by |q| in voxels."""
    rings, n = frames.rings, 2 * int(frames.rings.q[-1]) + 8
    mean = frames.mean.double().numpy() / frames.weights[0].real.numpy()
    if frames.background is not None:
        mean = mean - frames.background.double().numpy()
    floor = max(float(mean[mean > 0].min(initial=1.0)) * 1e-3, 1e-12)
    return torch.from_numpy(np.interp(np.arange(n), rings.q, np.maximum(mean, floor)).astype(np.float32))


def random_model(frames: RingFrames, march: March, seed: int) -> Model:
    """Return speckles of the right size and radial mean, half as strong as real ones, to begin from."""
    n = grid_size(march.stages[0])
    profile = frames_profile(frames)
    noise = torch.randn((n, n, n), generator=torch.Generator().manual_seed(seed))
    root = march.spectrum(n).sqrt()
    noise = friedel_mean(inverse_real_fourier_corner(real_fourier_corner(noise) * root, noise.shape))
    relative = (1 + 0.5 * noise / noise.std()).clamp_min(0.05)
    return Model(intensity=relative * spread(profile, n), profile=profile)


def resized(model: Model, n: int) -> Model:
    """Return a model cut to ``n`` voxels an edge, or continued by its radial mean."""
    m = model.intensity.shape[0]
    if n == m:
        return model
    half = min(n, m) // 2
    inner, outer = (slice(size // 2 - half, size // 2 + half + 1) for size in (n, m))
    intensity = spread(model.profile, n)
    intensity[inner, inner, inner] = model.intensity[outer, outer, outer]
    return replace(model, intensity=intensity, white=None)


def iterate(
    model: Model,
    frames: RingFrames,
    march: March,
    rng: np.random.Generator,
    *,
    q_max: float,
    beta: float = 1.0,
    part: Tensor | None = None,
) -> Iteration:
    """Expand, maximise, compress once, with newly drawn views.

    Parameters
    ----------
    model : Model
        Where to begin.
    frames : RingFrames
        The frames.
    march : March
        Extent of the speckles and symmetry.
    rng : numpy Generator
        Turns the lattice of views.
    q_max : float
        Resolution, voxels.
    beta : float
        Inverse temperature, 0 to 1.
    part : (n_frames,), optional
        Share of each frame that belongs to this model; None: all of all.
    """
    n = grid_size(q_max)
    model = resized(model, n)
    views = turned_views(march.n_views(q_max), rng, march.group)
    n_rings = frames.rings.within(q_max)
    bias = bias_at(model.bias, views)
    found, merge = match(
        frames, model.intensity, views, n_rings=n_rings, group=march.group, beta=beta, bias=bias, part=part
    )
    by_view = found.exposure[:, 0].mean(1)
    held = torch.tensor(float(len(frames))) if part is None else part.sum().cpu()
    total = max(round(float(frames.team.total(held))), 1)
    balanced = replace(compress(merge, model, march, q_max=q_max), bias=updated_bias(model.bias, views, by_view, total))
    return Iteration(model=balanced, found=found, merge=merge, views=views, q_max=q_max)


def climbed_from(
    rotations: NDArray[np.float32], frames: RingFrames, volume: Tensor, march: March, *, q_max: float
) -> Climbed:
    """Return the likeliest orientations near those that a grid of views gave (`climb`).

    Parameters
    ----------
    rotations : (n_frames, 3, 3)
        The grid's.
    frames : RingFrames
        The frames.
    volume : (n, n, n)
        The intensity to compare with.
    march : March
        Distance of the views.
    q_max : float
        Resolution, voxels.
    """
    apart = math.sqrt(4 * math.pi / march.n_views(q_max))
    return climb(frames, volume, rotations, n_rings=frames.rings.within(q_max), reach=apart)


def refined(done: Iteration, frames: RingFrames, march: March) -> Iteration:
    """Return an iteration whose frames are merged each at its likeliest orientation.

    Parameters
    ----------
    done : Iteration
        Of these frames.
    frames : RingFrames
        The frames.
    march : March
        As for the iteration.
    """
    volume, n_rings = done.model.intensity, frames.rings.within(done.q_max)
    found = climbed_from(done.rotations, frames, volume, march, q_max=done.q_max)
    merge = merge_at(frames, found, n=volume.shape[0], n_rings=n_rings, group=march.group)
    return replace(
        done,
        model=compress(merge, done.model, march, q_max=done.q_max, steps=THOROUGH),
        merge=merge,
        climbed=found,
        found=replace(done.found, fluence=torch.from_numpy(found.fluence)),
    )


def concluded(done: Iteration, frames: RingFrames, march: March) -> Iteration:
    """Return the last iteration over frames with its model made for a result: off the grid, smoothed thoroughly."""
    if march.refine:
        return refined(done, frames, march)
    return replace(done, model=compress(done.merge, done.model, march, q_max=march.q_max, steps=THOROUGH))


def compress(merge: Merge, before: Model, march: March, *, q_max: float, steps: int = QUICK) -> Model:
    """Return the most probable volume.

    Parameters
    ----------
    merge : Merge
        Photons and exposure.
    before : Model
        Where smoothing begins; its radial mean stays where a shell got nothing.
    march : March
        Extent and variance of the speckles.
    q_max : float
        Resolution, voxels.
    steps : int
        Of the smoothing, at most.
    """
    n = merge.photons.shape[0]
    profile = before.profile.clone()
    shells = spherical_mean(merge.photons, merge.exposure, radii(n, device=profile.device).round().long())
    reached = min(int(q_max) + 1, len(shells))
    good = torch.isfinite(shells[:reached]) & (shells[:reached] > 0)
    profile[:reached] = torch.where(good, shells[:reached], profile[:reached])
    mean = spread(profile, n)
    spectrum = march.spectrum(n, device=profile.device)
    # Photons of the background are subtracted, their noise isn't: what is left counts for less.
    worth = spread(march.worth, n)
    photons, expected = worth * merge.photons, worth * merge.exposure.clamp_min(0) * mean
    deviation = spread(march.variance.sqrt(), n)
    field, white = smooth_field(photons, expected, spectrum, deviation, steps=steps, start=before.white)
    return Model(intensity=field.clamp_min(0.01) * mean, profile=profile, white=white)


def run_stage(
    model: Model, frames: RingFrames, march: March, rng: np.random.Generator, *, q_max: float, first: bool = False
) -> Iteration:
    """Iterate at one resolution until the outer shells stop changing (`SETTLED`), or get no better.

    Parameters
    ----------
    model : Model
        Where to begin.
    frames : RingFrames
        The frames.
    march : March
        Extent of the speckles, symmetry and observer.
    rng : numpy Generator
        Turns the lattice of views.
    q_max : float
        Resolution, voxels.
    first : bool
        Whether this is the first stage, which begins at a lower β.
    """
    betas = ANNEALED if first else ANNEALED[-1:]
    shells, likeness = None, [0.0]
    enough = SETTLED if q_max < march.q_max else LAST_SETTLED
    for number in range(MOST_ITERATIONS):
        done = iterate(model, frames, march, rng, q_max=q_max, beta=betas[number] if number < len(betas) else 1.0)
        model, before, shells = done.model, shells, _outer(done.model, q_max)
        if before is not None:
            likeness.append(float(np.corrcoef(before, shells)[0, 1]))
        march.observer(Progress("orienting", number + 1, MOST_ITERATIONS, {"q": q_max, "settled": likeness[-1]}))
        settled = number >= len(betas) and (likeness[-1] > enough or _stalled(likeness, before, shells))
        if frames.team.first(settled):  # processors differ in the last digit: one decides for all
            break
    return done


def _outer(model: Model, q_max: float) -> NDArray[np.float32]:
    radius = radii(model.intensity.shape[0])
    return model.relative.cpu()[(radius < q_max - 1) & (radius > min(max(0.6 * q_max, 3), q_max - 2.5))].numpy()


def _stalled(likeness: list[float], before: NDArray[np.float32] | None, now: NDArray[np.float32]) -> bool:
    """Return whether successive volumes grow neither more alike nor richer in contrast."""
    steady = before is not None and abs(float(now.std() / before.std()) - 1) < 0.02
    return steady and len(likeness) > 3 and likeness[-1] < likeness[-2] + 0.003


def run_march(frames: RingFrames, march: March, seed: int, *, model: Model | None = None) -> Iteration:
    """Orient frames stage by stage, to the full resolution.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    march : March
        Extent of the speckles, resolution, symmetry and observer.
    seed : int
        Of the random model and the views.
    model : Model, optional
        Where to begin; None takes random speckles.
    """
    model = model or random_model(frames, march, seed)
    for number, q_max in enumerate(march.stages):
        asked = frames.team.rank == 0 and q_max < march.q_max
        known = frames.team.first(march.memory.recall(seed, number) if asked else None)
        if known is not None:
            model = known
            continue
        rng = np.random.default_rng((seed, number))  # a stage of its own: the same whether stages before were recalled
        done = run_stage(model, frames, march, rng, q_max=q_max, first=number == 0)
        model = done.model
        if asked:
            march.memory.keep(seed, number, model)
    return done
