"""Names for groups of frames: from a few labelled frames, or from a person's own list; or for frames one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from friedel.base.errors import InputError
from friedel.hits.clusters import Clusters


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterLabels:
    """What each group is taken for.

    Attributes
    ----------
    shares : (k,) float64
        Share of single hits in each group, between 0 and 1.
    counts : (k,) int64
        Labelled frames behind each share; 0 where it was borrowed from the nearest group, or given by hand.
    """

    shares: NDArray[np.float64]
    counts: NDArray[np.int64]

    def single(self, members: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of single hits in each frame's group, ``(n,)``: a probability, if a coarse one."""
        return np.asarray(self.shares[members])


def label_clusters(clusters: Clusters, frames: ArrayLike, labels: ArrayLike) -> ClusterLabels:
    """Return the groups' names from some labelled frames.

    A group's share of single hits is (singles + 1) / (labelled + 2): few labels don't make certainty. A group without
    a labelled frame takes the share of the nearest group that has one.

    Parameters
    ----------
    clusters : Clusters
        The groups.
    frames : (m,) int
        Numbers of the labelled frames.
    labels : (m,) bool or 0/1
        True for single hits.

    Raises
    ------
    InputError
        If there is no label, or a frame's number isn't in the run.
    """
    numbers, truth = _checked(frames, labels, len(clusters.members))
    k, groups = len(clusters.centres), clusters.members[numbers]
    counts = np.bincount(groups, minlength=k)
    shares = (np.bincount(groups, weights=truth, minlength=k) + 1) / (counts + 2)
    known = np.flatnonzero(counts)
    apart = np.linalg.norm(clusters.centres[:, None] - clusters.centres[None, known], axis=2)
    return ClusterLabels(shares=shares[known[apart.argmin(axis=1)]], counts=counts)


def label_by_neighbours(
    coordinates: NDArray[np.floating[Any]], frames: ArrayLike, labels: ArrayLike, *, neighbours: int = 9
) -> NDArray[np.float64]:
    """Return each frame's share of single hits among the labelled frames nearest to it, ``(n,)``.

    Finer than naming groups, and steadier: no boundary between groups moves with the seed.

    Parameters
    ----------
    coordinates : (n, k) float
        Where the frames lie, on a diffusion map for one.
    frames : (m,) int
        Numbers of the labelled frames.
    labels : (m,) bool or 0/1
        True for single hits.
    neighbours : int
        Labelled frames asked; all of them if there are fewer.

    Raises
    ------
    InputError
        As for `label_clusters`.
    """
    numbers, truth = _checked(frames, labels, len(coordinates))
    nearest = cKDTree(coordinates[numbers]).query(coordinates, k=np.arange(1, min(neighbours, len(numbers)) + 1))[1]
    return np.asarray(truth[nearest].mean(axis=1))


def _checked(frames: ArrayLike, labels: ArrayLike, n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    numbers, truth = np.asarray(frames, dtype=np.int64), np.asarray(labels).astype(bool)
    if not numbers.size or numbers.shape != truth.shape:
        raise InputError(f"as many labels as frame numbers are needed, got {truth.shape} for {numbers.shape}")
    if numbers.min() < 0 or numbers.max() >= n:
        wrong = numbers[(numbers < 0) | (numbers >= n)][0]
        raise InputError(f"labelled frame {wrong} is not in the run, whose frames are 0 to {n - 1}")
    return numbers, truth


def label_by_hand(names: Mapping[int, bool], n_clusters: int) -> ClusterLabels:
    """Return the groups' names as a person gave them after looking at representative frames.

    Raises
    ------
    InputError
        If a group has no name, or a name no group.
    """
    if set(names) != set(range(n_clusters)):
        missing, unknown = sorted(set(range(n_clusters)) - set(names)), sorted(set(names) - set(range(n_clusters)))
        raise InputError(f"name every group from 0 to {n_clusters - 1}; missing {missing}, unknown {unknown}")
    shares = np.array([float(names[group]) for group in range(n_clusters)])
    return ClusterLabels(shares=shares, counts=np.zeros(n_clusters, dtype=np.int64))
