"""Groups of frames that look alike, found without labels, and the frames worth showing to a person.

Works on any features: the model's, or a diffusion map's coordinates. Names no group; `cluster_labels` does.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture

from friedel.base.errors import InputError

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[np.int64]
Method: TypeAlias = Literal["k-means", "mixture"]
MOST_CLUSTERS = 12
_JUDGED = 2000


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
