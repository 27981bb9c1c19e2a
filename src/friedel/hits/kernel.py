"""The Gaussian kernel between frames, dense or between nearest neighbours only, and its normalisation.

An isolated frame (empty, a streak) is farther from everything than the kernel reaches. Left alone, each such frame is
an island with an eigenvector of its own, and the first coordinates count islands. So its kernel is widened until it
touches its nearest neighbours; frames in company keep the bandwidth as it is.

Matrices stay symmetric: the Markov matrix of a diffusion is similar to the symmetric one made here, which has the same
eigenvalues and is kinder to compute with.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from friedel.base.errors import InputError
from friedel.hits.bandwidth import BandwidthCurve, bandwidth_curve, sampled_rows
from friedel.hits.distances import pairwise_squared_distances, squared_distances

Floats = NDArray[np.float32]
Matrix: TypeAlias = Tensor | sparse.csr_array
COMPANY = 7
"""Neighbours that a frame in company has within √ε."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Kernel:
    """Similarities of frames: exp(−d²/(ε w_i w_j)).

    Attributes
    ----------
    matrix : (n, n) Tensor or sparse array, float32, or None
        Symmetric, ones on the diagonal; None once it has been used up.
    bandwidth : float
        ε.
    widths : (n,) Tensor
        w: 1 for all frames but isolated ones.
    curve : BandwidthCurve or None
        What ε was chosen from; None if it was given.
    reach : (n,) Tensor or None
        Squared distance from each frame to the farthest of its nearest neighbours; None where all pairs count.
    """

    matrix: Matrix | None
    bandwidth: float
    widths: Tensor
    curve: BandwidthCurve | None
    reach: Tensor | None = None


def dense_kernel(vectors: Tensor, *, bandwidth: float | None = None, company: int = COMPANY) -> Kernel:
    """Return the kernel between all pairs of ``(n, d)`` vectors; 4 n² bytes.

    ``bandwidth`` None takes the steepest point of the log-sum curve; ``company`` is explained at `kernel_widths`.
    """
    squared = pairwise_squared_distances(vectors)
    chosen, curve = (bandwidth, None) if bandwidth is not None else _steepest(squared[sampled_rows(len(squared))])
    widths = kernel_widths(squared, chosen, company)
    matrix = squared.mul_(-1.0 / chosen).div_(widths[:, None]).div_(widths[None, :]).exp_()
    return Kernel(matrix=matrix, bandwidth=chosen, widths=widths, curve=curve)


def kernel_widths(squared: Tensor, bandwidth: float, company: int) -> Tensor:
    """Return w, the factor by which each frame's kernel is widened.

    Parameters
    ----------
    squared : (n, m) float32
        Squared distances from some frames to the map's frames, or to the nearest of them in rising order.
    bandwidth : float
        ε.
    company : int
        A frame is isolated if its neighbour of this number is farther than √ε; 0 widens nothing.

    Returns
    -------
    (n,) float32
        max(1, d_c/√ε), with d_c the distance to that neighbour.
    """
    if company == 0:
        return torch.ones(len(squared), device=squared.device)
    rank = min(company + 1, squared.shape[1])
    farthest = torch.topk(squared, rank, largest=False, sorted=False).values.amax(dim=1)
    return farthest.div_(bandwidth).clamp_(min=1.0).sqrt_()


def neighbour_kernel(
    vectors: Tensor, neighbours: int, *, bandwidth: float | None = None, company: int = COMPANY, block: int = 1024
) -> Kernel:
    """Return the kernel between nearest neighbours only: two frames count if either is among the other's nearest.

    Parameters
    ----------
    vectors : (n, d) float32
        The frames.
    neighbours : int
        Nearest frames kept for each, itself not counted; 8 n k bytes and a little.
    bandwidth : float, optional
        ε; None takes the steepest point of the log-sum curve over all pairs.
    company : int
        As for `kernel_widths`.
    block : int
        Frames compared with all others at a time: 4 n × block bytes.
    """
    chosen, curve = (bandwidth, None) if bandwidth is not None else _steepest(_some_distances(vectors))
    rows = [vectors[first : first + block] for first in range(0, len(vectors), block)]
    kept = min(neighbours + 1, len(vectors))
    nearest = [torch.topk(squared_distances(some, vectors), kept, largest=False) for some in rows]
    squared = torch.cat([found.values for found in nearest])
    columns = torch.cat([found.indices for found in nearest])
    widths = kernel_widths(squared, chosen, company)
    weights = torch.exp(-squared / (chosen * widths[:, None] * widths[columns])).cpu().numpy()
    starts = np.arange(0, weights.size + 1, kept)
    one_sided = sparse.csr_array((weights.ravel(), columns.cpu().numpy().ravel(), starts), shape=(len(vectors),) * 2)
    matrix = one_sided.maximum(one_sided.T).tocsr()
    matrix.setdiag(1.0)
    return Kernel(matrix=matrix, bandwidth=chosen, widths=widths, curve=curve, reach=squared[:, -1])


def _some_distances(vectors: Tensor) -> Tensor:
    picked = sampled_rows(len(vectors))
    squared = squared_distances(vectors[picked], vectors)
    squared[torch.arange(len(picked)), torch.from_numpy(picked)] = 0.0  # exactly: rounding leaves 1e-7 there
    return squared


def _steepest(squared: Tensor) -> tuple[float, BandwidthCurve]:
    curve = bandwidth_curve(squared)
    return curve.best, curve


def normalised(kernel: Kernel, *, alpha: float) -> tuple[Matrix, Floats, Floats]:
    """Return the symmetric diffusion matrix, and the densities and degrees that led to it.

    With q = Σ_j k_ij the density of frames, k is divided by (q_i q_j)^α; with d the row sums of that, the symmetric
    matrix is k / √(d_i d_j). With α = 1 the frames' uneven density drops out, and the Laplace–Beltrami operator of the
    manifold they lie on is left. Dense matrices are overwritten.

    Returns
    -------
    matrix : (n, n)
        D^½ P D^-½ with P the Markov matrix; its greatest eigenvalue is 1.
    densities, degrees : (n,) float32
        q and d.

    References
    ----------
    Coifman & Lafon, *Diffusion maps*, Appl. Comput. Harmon. Anal. 21, 5 (2006), section 3.2.
    """
    if kernel.matrix is None:
        raise InputError("this kernel's matrix has been used up; make the kernel again")
    densities = _row_sums(kernel.matrix)
    matrix = _scaled(kernel.matrix, densities**-alpha)
    degrees = _row_sums(matrix)
    return _scaled(matrix, degrees**-0.5), densities.astype(np.float32), degrees.astype(np.float32)


def _row_sums(matrix: Matrix) -> NDArray[np.float64]:
    if isinstance(matrix, Tensor):
        return np.asarray(matrix.sum(dim=1).cpu().numpy(), dtype=np.float64)
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _scaled(matrix: Matrix, factors: NDArray[np.float64]) -> Matrix:
    """Return diag(f) M diag(f)."""
    single = factors.astype(np.float32)
    if isinstance(matrix, Tensor):
        weights = torch.from_numpy(single).to(matrix.device)
        return matrix.mul_(weights[:, None]).mul_(weights[None, :])
    diagonal = sparse.diags_array(single)
    return (diagonal @ matrix @ diagonal).tocsr()
