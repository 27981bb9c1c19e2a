"""Align two intensities by a rotation, and correlate them shell by shell."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.core.fourier import inverse_real_fourier_corner, real_fourier_corner, to_centre, to_corner
from friedel.spi.orient.views import sphere
from friedel.spi.orient.volume import friedel_mean, radii, sample

Floats = NDArray[np.float64]

_TRIED = 4000
"""Random rotations of the first survey: neighbours about 16° apart, a speckle at its outermost shell."""
_INNER = 0.4  # share of the shells that the survey sees: fewer are alike in several orientations, more need a finer one
_REFINED = 12  # best rotations of the survey that are climbed from: its best is often a local maximum's
_DECIDED, _APART = 5, 0.15  # maxima that all shells decide between; rad from which two are different ones
_DIRECTIONS = 3000  # on a sphere: 3.7° apart, and a correlation known to 1/√3000 = 2 %


def _points(shells: Floats, n: int) -> Tensor:
    return torch.from_numpy((shells[:, None, None] * sphere(n)).astype(np.float32))


class Likeness:
    """Mean correlation of two volumes over shells, as a function of the second one's rotation.

    Parameters
    ----------
    fixed, moving : (n, n, n)
        The volumes: fixed(q) is compared with moving(R q).
    shells : (n_shells,) float64
        |q|, voxels.
    n : int
        Points on each shell.
    """

    def __init__(self, fixed: Tensor, moving: Tensor, shells: Floats, n: int) -> None:
        self.points, self.moving = _points(shells, n), moving
        self.wanted = self._centred(sample(fixed, self.points))

    @staticmethod
    def _centred(values: Tensor) -> Tensor:
        values = values - values.mean(-1, keepdim=True)
        return values / values.norm(dim=-1, keepdim=True).clamp_min(1e-20)

    def __call__(self, rotations: Floats) -> Floats:
        """Return the likeness at rotations ``(n, 3, 3)``."""
        found = []
        for block in torch.from_numpy(np.atleast_3d(rotations).astype(np.float32)).split(200):  # type: ignore[no-untyped-call]
            turned = torch.einsum("rij,skj->rski", block, self.points)
            found.append((self._centred(sample(self.moving, turned)) * self.wanted).sum(-1).mean(-1))
        return torch.cat(found).double().numpy()

    def climb(self, starts: Rotation, reach: float, rounds: int) -> tuple[Floats, Rotation]:
        """Return the best likeness near each of several rotations, ``(n,)``, and where.

        In each round a parabola along each axis tells where the top is; what is best of it and the places tried is the
        next centre.

        Parameters
        ----------
        starts : n rotations
            Where to begin.
        reach : float
            First step, rad; a third of it where the centre's surroundings are no better.
        rounds : int
            Of seven likenesses each.
        """
        places = starts.as_matrix()
        likeness, every = self(places), np.arange(len(places))
        steps = np.full((len(places), 1), reach)

        def at(moves: Floats) -> tuple[Floats, Floats]:
            """Return places after moves ``(n, m, 3)``, ``(n, m, 3, 3)``, and their likenesses ``(n, m)``."""
            turns = Rotation.from_rotvec(moves.reshape(-1, 3)).as_matrix().reshape(*moves.shape, 3)
            moved = turns @ places[:, None]
            return moved, self(moved.reshape(-1, 3, 3)).reshape(moves.shape[:2])

        for _ in range(rounds):
            around, values = at(steps[:, None] * np.concatenate([np.eye(3), -np.eye(3)]))
            slope, bend = values[:, :3] - values[:, 3:], values[:, :3] + values[:, 3:] - 2 * likeness[:, None]
            top = np.where(bend < 0, -slope / (2 * bend - 1e-20), np.sign(slope)).clip(-1, 1)
            summit, its = at(steps[:, None] * top[:, None])
            places = np.concatenate([places[:, None], summit, around], axis=1)
            values = np.concatenate([likeness[:, None], its, values], axis=1)
            best = values.argmax(1)
            places, likeness = places[every, best], values[every, best]
            steps = np.where(best[:, None] < 2, steps / 3, steps)
        return likeness, Rotation.from_matrix(places)


def align(fixed: Tensor, moving: Tensor, *, q_min: float, q_max: float, seed: int = 0) -> Rotation:
    """Return the rotation R for which moving(R q) is most like fixed(q).

    Parameters
    ----------
    fixed, moving : (n, n, n)
        Intensities on the same grid.
    q_min, q_max : float
        Shells to compare, voxels.
    seed : int
        Of the survey's rotations.
    """
    reach = q_min + _INNER * (q_max - q_min)
    rotations = Rotation.random(_TRIED, random_state=seed)
    survey = Likeness(fixed, moving, np.linspace(q_min, reach, 4), 160)(rotations.as_matrix())
    coarse = Likeness(fixed, moving, np.linspace(q_min, reach, 6), 200)
    best = coarse.climb(rotations[np.argsort(-survey)[:_REFINED]], 0.15, 6)
    finer = Likeness(fixed, moving, np.linspace(q_min, reach, 10), 400)
    whole = Likeness(fixed, moving, np.linspace(q_min, q_max, 10), 400)
    # Inner shells of a compact particle are nearly alike in several orientations; the outer ones decide between them.
    _, climbed = finer.climb(_distinct(*best), 0.05, 6)
    likeness = whole(climbed.as_matrix())
    return whole.climb(climbed[[int(likeness.argmax())]], 0.02, 8)[1][0]


def _distinct(likeness: Floats, found: Rotation) -> Rotation:
    """Return the best rotations that lie apart from better ones, `_DECIDED` at most."""
    kept: list[int] = []
    for k in np.argsort(-likeness):
        if all((found[k] * found[other].inv()).magnitude() > _APART for other in kept):
            kept.append(int(k))
    return found[kept[:_DECIDED]]


def turned(volume: Tensor, rotation: Rotation) -> Tensor:
    """Return volume(R q) on the same grid; NaN where R q lies outside."""
    n = volume.shape[0]
    axis = torch.arange(n).float() - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    points = torch.stack([x, y, z], dim=-1) @ torch.from_numpy(rotation.as_matrix().T.astype(np.float32))
    return torch.where((points.abs() < n // 2 - 1e-3).all(-1), sample(volume, points), torch.nan)


def shell_correlation(first: Tensor, second: Tensor, n_shells: int) -> Floats:
    """Return Pearson's correlation of two volumes in each shell of a voxel, ``(n_shells,)``; NaN where undefined."""
    shell = radii(first.shape[0]).round().long()
    good = torch.isfinite(first) & torch.isfinite(second) & (shell < n_shells)
    a, b, k = first[good].double(), second[good].double(), shell[good]

    def by_shell(values: Tensor) -> Tensor:
        return torch.zeros(n_shells, dtype=torch.float64).index_add_(0, k, values)

    count = by_shell(torch.ones_like(a)).clamp_min(1)
    a, b = a - (by_shell(a) / count)[k], b - (by_shell(b) / count)[k]
    return (by_shell(a * b) / (by_shell(a * a) * by_shell(b * b)).sqrt()).numpy()


def sphere_correlation(first: Tensor, second: Tensor, rotation: Rotation, radii_voxels: Floats) -> Floats:
    """Return Pearson's correlation of first(q) and second(R q) over directions, at each |q|; NaN where undefined.

    On a sphere of exact radius the radial mean is constant; within a shell of voxels its slope correlates by itself.

    Parameters
    ----------
    first, second : (n, n, n)
        Intensities on the same grid, ``(z, y, x)``.
    rotation : Rotation
        R, of vectors (x, y, z).
    radii_voxels : (n_radii,) float64
        |q|, voxels.
    """
    turn = torch.from_numpy(rotation.as_matrix().astype(np.float32))
    found = []
    for radius in radii_voxels:
        points = torch.from_numpy((max(radius, 1e-6) * sphere(_DIRECTIONS)).astype(np.float32))
        a, b = sample(first, points).double(), sample(second, points @ turn.T).double()
        a, b = a - a.mean(), b - b.mean()
        found.append(float((a @ b) / (a.norm() * b.norm())))
    return np.array(found)


def unlike(volumes: list[Tensor], reach: float, *, seed: int) -> list[Tensor]:
    """Return volumes of the same power spectra that have nothing in common with the given ones.

    Their (real) transforms get random signs, the same for all: what they have in common among themselves stays.

    Parameters
    ----------
    volumes : list of (n, n, n)
        Relative intensities, one in the mean, Friedel symmetric.
    reach : float
        Distance from the origin beyond which they are taken as one, voxels.
    seed : int
        Of the signs.
    """
    n = volumes[0].shape[0]
    noise = friedel_mean(torch.randn((n, n, n), generator=torch.Generator().manual_seed(1000 * n + seed)))
    signs = to_corner(noise.sign())[..., : n // 2 + 1]
    outside = radii(n) > reach
    spectra = [real_fourier_corner(to_corner((one - 1).masked_fill(outside, 0.0))) for one in volumes]
    return [1 + to_centre(inverse_real_fourier_corner(spectrum * signs, (n, n, n))) for spectrum in spectra]


def chance_correlation(
    first: Tensor, second: Tensor, radii_voxels: Floats, *, q_min: float, q_max: float, tries: int = 2
) -> Floats:
    """Return the mean `sphere_correlation` that alignment alone finds, at each |q|; NaN where undefined.

    The second volume is replaced by others of its power spectrum, as smooth and as large, with random signs in its
    (real) transform, and aligned in the same way. Few speckles agree easily: five numbers describe a quadrupole, and
    rotations fit three of them.

    Parameters
    ----------
    first, second : (n, n, n)
        Relative intensities, one in the mean, Friedel symmetric.
    radii_voxels : (n_shells,)
        Where to compare.
    q_min, q_max : float
        Shells to align by, voxels.
    tries : int
        Volumes to compare with.
    """
    found = []
    for number in range(tries):
        (other,) = unlike([second], radii_voxels[-1] + 1, seed=number)
        rotation = align(first, other, q_min=q_min, q_max=q_max, seed=number)
        found.append(sphere_correlation(first, other, rotation, radii_voxels))
    return np.mean(found, axis=0)
