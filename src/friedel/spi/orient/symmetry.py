"""Is a symmetry there? A merged intensity's halves are compared under the operations of each point group.

One half of a symmetric particle, turned by an operation of its group, is as much like the other half as it is unturned.
For each group the best place of its axes is looked for; what such a search finds in volumes of the same power spectrum
that have no symmetry is chance. Intensities are centrosymmetric: a mirror of the particle is a twofold axis of theirs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.spi.orient.align import Likeness, unlike
from friedel.spi.orient.views import sphere, symmetry_group

Floats = NDArray[np.float64]

GROUPS = ("C2", "C3", "C4", "C5", "C6", "D2", "D3", "D4", "D5", "D6", "T", "O", "I")
"""Groups that are asked for; what they have in common with larger ones they share."""
THERE, ABSENT = 0.8, 0.55
"""Share of the halves' agreement beyond chance, under a group's operations, from which the group is there, and below
which it isn't. Of six made-up particles with C3 to I and one without: 0.84 and more; of groups that are nearly there,
larger than the particle's own, 0.79 at most."""
_DIRECTIONS, _PLACES = 500, 3000  # axes of the survey, 9° apart, and places of a group among them, 13° apart
_CLIMBED, _STEPS, _OPERATIONS = 3, 60, 8  # best places refined, evaluations each, operations compared there
_DECOYS = 2  # volumes without symmetry; the better one's is chance


@dataclass(frozen=True, eq=False, kw_only=True)
class Symmetry:
    """What was found for one point group.

    Attributes
    ----------
    group : str
        "C2", …, "I".
    halves : float
        Mean over shells of the halves' correlation, unturned.
    turned : float
        The same under the group's operations, in the mean, at the best place of its axes.
    chance : float
        The same of volumes of the same power spectrum without symmetry.
    place : (3, 3) float64
        Rotation from the group's standard setting to the volume's axes, of vectors (x, y, z).
    """

    group: str
    halves: float
    turned: float
    chance: float
    place: Floats

    @property
    def share(self) -> float:
        """How much of the halves' agreement beyond chance is left under the group's operations."""
        return (self.turned - self.chance) / max(self.halves - self.chance, 1e-6)

    @property
    def verdict(self) -> Literal["there", "absent", "undecided"]:
        """One word for it; "undecided", too, where the halves agree hardly more than chance."""
        if self.halves - self.chance < 0.1:
            return "undecided"
        if self.share >= THERE:
            return "there"
        return "absent" if self.share < ABSENT else "undecided"

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"{self.group} is {self.verdict}: halves agree at {self.turned:.2f} under its operations, at "
            f"{self.halves:.2f} unturned, at {self.chance:.2f} by chance"
        )


def symmetries(
    first: Tensor, second: Tensor, *, q_min: float, q_max: float, groups: tuple[str, ...] = GROUPS
) -> list[Symmetry]:
    """Ask for each point group whether a merged intensity has it, the largest group first.

    Parameters
    ----------
    first, second : (n, n, n)
        Halves' relative intensities, one in the mean, the second turned onto the first; made without symmetry.
    q_min, q_max : float
        Shells to compare, voxels.
    groups : tuple of str
        Which to ask for.
    """
    pairs = [[first, second], *(unlike([first, second], q_max + 1, seed=100 + k) for k in range(_DECOYS))]
    ours, *others = [_Search(one, other, q_min, q_max) for one, other in pairs]
    found = []
    for name in groups:
        group = symmetry_group(name)
        turned, place = ours.best(group)
        chance = max(other.best(group)[0] for other in others)
        found.append(Symmetry(group=name, halves=ours.unturned, turned=turned, chance=chance, place=place))
    return sorted(found, key=lambda one: -len(symmetry_group(one.group)))


def largest(found: list[Symmetry]) -> Symmetry | None:
    """Return the largest group that is there, or None."""
    return next((one for one in found if one.verdict == "there"), None)


class _Search:
    """Two volumes, and how like they are under rotations around all axes."""

    def __init__(self, first: Tensor, second: Tensor, q_min: float, q_max: float) -> None:
        first, second = (torch.nan_to_num(one, nan=1.0) for one in (first, second))
        inner = q_min + 0.5 * (q_max - q_min)
        self._survey = Likeness(first, second, np.linspace(q_min, inner, 5), 160)
        self._fine = Likeness(first, second, np.linspace(q_min, q_max, 10), 300)
        directions = sphere(_DIRECTIONS)
        self._axes = directions[directions[:, 2] >= 0]
        self._maps: dict[int, Floats] = {}
        self.unturned = float(self._fine(np.eye(3)[None])[0])

    def _map(self, order: int) -> Floats:
        """Return the likeness under a turn of 2π / order around each of the survey's axes."""
        if order not in self._maps:
            turns = Rotation.from_rotvec(2 * np.pi / order * self._axes).as_matrix()
            self._maps[order] = self._survey(turns)
        return self._maps[order]

    def best(self, group: Floats) -> tuple[float, Floats]:
        """Return the mean likeness under a group's operations at the best place of its axes, and that place."""
        vectors = Rotation.from_matrix(group).as_rotvec()
        angles = np.linalg.norm(vectors, axis=1)
        turned = angles > 1e-6
        once = turned & (np.abs(2 * np.pi / angles.clip(1e-6) % 1 - 0.5) > 0.49)  # not 2 × 72°: its axis has 72°, too
        axes, orders = vectors[once] / angles[once, None], np.round(2 * np.pi / angles[once]).astype(int)
        places = Rotation.random(_PLACES, random_state=len(group)).as_matrix()
        scores = np.zeros(_PLACES)
        for axis, order in zip(axes, orders, strict=True):
            scores += self._map(order)[np.abs((places @ axis) @ self._axes.T).argmax(1)]
        operations = group[turned]
        few = operations[:: -(-len(operations) // _OPERATIONS)]
        climbed = [self._climb(places[k], few, 0.1) for k in _distinct(scores, places)]
        place = self._climb(max(climbed, key=lambda one: one[0])[1], few, 0.03)[1]
        return self._mean(place, operations), place

    def _mean(self, place: Floats, operations: Floats) -> float:
        return float(self._fine(place @ operations @ place.T).mean())

    def _climb(self, place: Floats, operations: Floats, reach: float) -> tuple[float, Floats]:
        def moved(vector: Floats) -> Floats:
            return Rotation.from_rotvec(vector).as_matrix() @ place

        simplex = np.vstack([np.zeros(3), reach * np.eye(3)])
        found = minimize(
            lambda vector: -self._mean(moved(vector), operations),
            np.zeros(3),
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": _STEPS, "xatol": 1e-3, "fatol": 1e-5},
        )
        return -float(found.fun), moved(found.x)


def _distinct(scores: Floats, places: Floats) -> list[int]:
    """Return the best places that lie 20° or more from better ones."""
    chosen: list[int] = []
    for k in np.argsort(-scores):
        if all(np.trace(places[k].T @ places[other]) < 1 + 2 * np.cos(np.radians(20)) for other in chosen):
            chosen.append(int(k))
        if len(chosen) == _CLIMBED:
            break
    return chosen
