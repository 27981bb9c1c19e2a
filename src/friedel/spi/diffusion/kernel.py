"""The Gaussian kernel of a diffusion map: distances, bandwidth from the log-sum curve, normalisation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from friedel.core.errors import InputError

Floats = NDArray[np.float32]
N_ROWS = 256
"""Rows of the distance matrix that the curve is summed over: 1e6 pairs and more tell the slope to a percent."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BandwidthCurve:
    """Sum of the kernel over all pairs against its bandwidth.

    For a narrow kernel only the diagonal is left, for a wide one every pair counts; between the two the sum grows as
    ε^(d/2) with the dimension d of the data. There neighbours are seen as neighbours and nothing else is.

    Attributes
    ----------
    bandwidths : (k,) float64
        ε, rising, in the unit of the squared distances.
    log_sums : (k,) float64
        ln Σ exp(−d²/ε).
    slopes : (k,) float64
        d ln Σ / d ln ε.

    References
    ----------
    Coifman, Shkolnisky, Sigworth & Singer, IEEE Trans. Image Process. 17, 1891 (2008), section III.
    """

    bandwidths: NDArray[np.float64]
    log_sums: NDArray[np.float64]
    slopes: NDArray[np.float64]

    @property
    def best(self) -> float:
        """The bandwidth of greatest slope, between the samples by a parabola."""
        top, log = int(np.argmax(self.slopes)), np.log(self.bandwidths)
        if top in (0, len(log) - 1):
            return float(self.bandwidths[top])
        left, middle, right = self.slopes[top - 1 : top + 2]
        bend = left - 2 * middle + right
        offset = 0.0 if bend == 0 else 0.5 * (left - right) / bend
        return float(np.exp(log[top] + offset * (log[top + 1] - log[top])))

    @property
    def dimension(self) -> float:
        """Dimension of the data at the best bandwidth: twice the slope."""
        return 2 * float(self.slopes.max())


def bandwidth_curve(squared: Tensor, *, samples: int = 48) -> BandwidthCurve:
    """Return the log-sum curve of some rows of a distance matrix.

    Parameters
    ----------
    squared : (rows, n) float32
        Squared distances of some frames to all frames, themselves included.
    samples : int
        Number of bandwidths, evenly spaced in ln ε.

    Raises
    ------
    InputError
        If all vectors are equal: then no bandwidth can tell them apart.
    """
    positive = squared[squared > 0]
    if not positive.numel():
        raise InputError("all frames are equal, so they have no distances; check the data and the mask")
    low, high = float(positive.min()) / 20, float(positive.max()) * 20
    bandwidths = np.geomspace(max(low, high * 1e-7), high, samples)
    sums, moments = (np.empty(samples) for _ in range(2))
    for index, bandwidth in enumerate(bandwidths):
        scaled = squared / float(bandwidth)
        weights = torch.exp(-scaled)
        sums[index] = float(weights.sum())
        moments[index] = float(weights.mul_(scaled).sum())
    return BandwidthCurve(bandwidths=bandwidths, log_sums=np.log(sums), slopes=moments / sums)


def sampled_rows(n: int) -> NDArray[np.int64]:
    """Return at most `N_ROWS` row numbers, evenly spread over ``n``."""
    return np.unique(np.linspace(0, n - 1, min(n, N_ROWS)).round().astype(np.int64))


Matrix: TypeAlias = Tensor | sparse.csr_array
LEAST = -60.0
"""Lowest exponent of a similarity: nothing beside one in float32; below -87 begin subnormal numbers, which are slow."""
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
    exponents = squared.mul_(-1.0 / chosen).div_(widths[:, None]).div_(widths[None, :])
    matrix = exponents.clamp_(min=LEAST).exp_()
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


BLOCK = 512  # rows of the distance matrix computed at a time: 512 n floats beside the matrix itself


def squared_distances(vectors: Tensor, others: Tensor) -> Tensor:
    """Return the squared distances from ``(n, d)`` to ``(m, d)`` float32 vectors, ``(n, m)``, never negative."""
    with _quick_products(vectors.device):
        return _distances(vectors, others, _squares(vectors), _squares(others))


def pairwise_squared_distances(vectors: Tensor, *, block: int = BLOCK) -> Tensor:
    """Return the squared distances of ``(n, d)`` float32 vectors among themselves, ``(n, n)``.

    The diagonal is exactly zero. Blocks below it are copied from above it, so the matrix is symmetric to rounding.
    """
    n, squares = len(vectors), _squares(vectors)
    found = torch.empty((n, n), dtype=vectors.dtype, device=vectors.device)
    with _quick_products(vectors.device):
        for top in range(0, n, block):
            rows = slice(top, top + block)
            for left in range(top, n, block):
                columns = slice(left, left + block)
                piece = _distances(vectors[rows], vectors[columns], squares[rows], squares[columns])
                found[rows, columns] = piece
                if left > top:
                    found[columns, rows] = piece.T
    return found.fill_diagonal_(0.0)


def _squares(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=1).square_()


def _distances(vectors: Tensor, others: Tensor, squares: Tensor, other_squares: Tensor) -> Tensor:
    products = torch.mm(vectors, others.T)
    return products.mul_(-2.0).add_(squares[:, None]).add_(other_squares[None, :]).clamp_(min=0.0)


@contextmanager
def _quick_products(device: torch.device) -> Iterator[None]:
    """Let torch take oneDNN's product on a CPU, twice as fast as its default on AMD processors.

    Where the processor has bfloat16 tiles oneDNN may use them: over the thousands of pixels of a frame their rounding
    averages to 1e-5 of a vector's square, far below what a kernel of neighbours can feel. The setting is torch's own
    and process-wide; it is put back at the end.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu":
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
