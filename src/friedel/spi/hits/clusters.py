"""Groups of frames that look alike, found without labels, and the frames worth showing to a person.

Works on any features: the model's, or a diffusion map's coordinates. `find_clusters` names no group; `label_clusters`,
`label_by_neighbours` and `label_by_hand` do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from friedel.core.errors import InputError

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[np.int64]
Method: TypeAlias = Literal["k-means", "mixture"]
MOST_CLUSTERS = 12  # tried where no number is given; a choice: as many as a person can look through
_JUDGED = 2000  # frames for the silhouette, which needs the distances of all pairs: 32 MB


@dataclass(frozen=True, eq=False, kw_only=True)
class Clusters:
    """Groups of frames.

    Attributes
    ----------
    members : (n,) int64
        Number of each frame's group; groups are numbered by size, the largest 0.
    distances : (n, k) float64
        Distance of each frame to each group's centre, in standard deviations of the features.
    centres : (k, d) float64
        The groups' means, of standardised features.
    mean, deviation : (d,) float64
        What standardises features.
    """

    members: Numbers
    distances: NDArray[np.float64]
    centres: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def sizes(self) -> Numbers:
        """Number of frames in each group."""
        return np.bincount(self.members, minlength=len(self.centres))

    def nearest(self, features: Floats) -> Numbers:
        """Return the group whose centre is nearest to each of other frames ``(m, d)``, ``(m,)``."""
        return _distances((features - self.mean) / self.deviation, self.centres).argmin(axis=1)

    def representatives(self, each: int) -> list[Numbers]:
        """Return, group by group, the ``each`` frames nearest to its centre, nearest first."""
        return [self._nearest_members(group)[:each] for group in range(len(self.centres))]

    def borderline(self, count: int) -> Numbers:
        """Return the ``count`` frames most evenly between two groups, most even first; none of a single group."""
        if len(self.centres) < 2:
            return np.empty(0, dtype=np.int64)
        first, second = np.sort(self.distances, axis=1)[:, :2].T
        return np.argsort((second - first) / np.maximum(second, 1e-12), kind="stable")[:count]

    def _nearest_members(self, group: int) -> Numbers:
        inside = np.flatnonzero(self.members == group)
        return inside[np.argsort(self.distances[inside, group], kind="stable")]


def find_clusters(
    features: Floats, n_clusters: int | None = None, *, method: Method = "k-means", seed: int = 0
) -> Clusters:
    """Return groups of frames.

    Parameters
    ----------
    features : (n, d) float
        One row a frame, finite; columns are brought to unit variance first.
    n_clusters : int, optional
        How many; None takes the number from 2 to 12 with the best mean silhouette.
    method : "k-means" or "mixture"
        Round groups of like size, or a mixture of Gaussians of any shape along the axes.
    seed : int
        Seed of the starting centres.

    Raises
    ------
    InputError
        If there are fewer frames than groups, or a feature isn't finite.

    References
    ----------
    Rousseeuw, J. Comput. Appl. Math. 20, 53 (1987), for the silhouette.
    """
    _check(features, n_clusters)
    values = np.asarray(features, dtype=np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    points = (values - mean) / deviation
    count = n_clusters or _best_count(points, method, seed)
    members = _numbered_by_size(_grouped(points, count, method, seed))
    centres = np.stack([points[members == group].mean(axis=0) for group in range(members.max() + 1)])
    distances = _distances(points, centres)
    return Clusters(members=members, distances=distances, centres=centres, mean=mean, deviation=deviation)


def _check(features: Floats, n_clusters: int | None) -> None:
    least = max(n_clusters or 2, 2)
    if features.ndim != 2 or len(features) < least:
        raise InputError(f"{least} groups need at least as many frames, features (n, d); got {features.shape}")
    if not np.isfinite(features).all():
        raise InputError("features hold values that aren't finite; leave frames without a score out")
    if n_clusters is not None and n_clusters < 1:
        raise InputError(f"the number of groups must be at least 1, got {n_clusters}")


def _best_count(points: Floats, method: Method, seed: int) -> int:
    some = points
    if len(points) > _JUDGED:
        some = points[np.random.default_rng(seed).choice(len(points), _JUDGED, replace=False)]
    scores = {}
    for count in range(2, min(MOST_CLUSTERS, len(some) - 1) + 1):
        members = _grouped(some, count, method, seed)
        if 1 < len(np.unique(members)) < len(some):
            scores[count] = float(silhouette_score(some, members))
    return max(scores, key=lambda count: scores[count]) if scores else 1


def _grouped(points: Floats, count: int, method: Method, seed: int) -> Numbers:
    if method == "mixture":
        model: Any = GaussianMixture(count, covariance_type="diag", reg_covar=1e-4, n_init=2, random_state=seed)
    else:
        model = KMeans(count, n_init=4, random_state=seed)
    return np.asarray(model.fit_predict(points), dtype=np.int64)


def _numbered_by_size(members: Numbers) -> Numbers:
    _, inverse, counts = np.unique(members, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
    return np.asarray(rank[inverse], dtype=np.int64)


def _distances(points: Floats, centres: Floats) -> NDArray[np.float64]:
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * points @ centres.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


@dataclass(frozen=True, eq=False, kw_only=True)
class ClusterLabels:
    """What each group is taken for.

    Attributes
    ----------
    shares : (k,) float64
        Share of single hits in each group, between 0 and 1.
    counts : (k,) int64
        Labelled frames behind each share; 0 where it was taken from the nearest group, or given by a person.
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
