"""The diffusion map: a few coordinates in which frames that lead into each other step by step lie close together.

Single hits of one particle form a connected manifold, its orientations; other frames form others. The map unrolls them
without a label or a model; `friedel.spi.hits.clusters` cuts the result into groups and names them, and `landmarks` maps
runs too long for a matrix.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from friedel.core.errors import InputError
from friedel.core.machine.device import resolve_device
from friedel.core.options import Options
from friedel.spi.diffusion.kernel import (
    COMPANY,
    Kernel,
    Matrix,
    dense_kernel,
    kernel_widths,
    neighbour_kernel,
    normalised,
    squared_distances,
)

Floats = NDArray[np.float32]
_EIGEN_TOLERANCE = 1e-5  # relative accuracy of the eigenvalues; the matrix, float32 of noisy frames, is no better known


class DiffusionOptions(Options):
    """How the map is made."""

    coordinates: int = Field(default=7, ge=1, le=100)
    """Number of eigenvectors, the constant one not counted."""
    alpha: float = Field(default=1.0, ge=0.0, le=1.0)
    """Exponent of the density that is divided out: 1 leaves the manifold's shape alone."""
    bandwidth: float | None = Field(default=None, gt=0.0)
    """ε of the kernel exp(−d²/ε); None takes the steepest point of the log-sum curve."""
    neighbours: int | None = Field(default=None, ge=2)
    """Nearest neighbours that the kernel keeps; None keeps all pairs."""
    company: int = Field(default=COMPANY, ge=0)
    """A frame with fewer neighbours within √ε than this is isolated, and its kernel widened; 0 never does."""
    seed: int = Field(default=0, ge=0)
    """Seed of the eigensolver's first vector and of the landmarks."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DiffusionMap:
    """The map of some frames, and all that is needed to place others on it.

    Attributes
    ----------
    coordinates : (n, k) float32
        Eigenvectors ψ of the Markov matrix, most slowly decaying first, each of unit mean square over the stationary
        distribution and with its largest component positive. The constant one is left out.
    eigenvalues : (k,) float32
        Their eigenvalues λ, falling, below 1; λ^t ψ is where a frame stands after t steps.
    kernel : Kernel
        What the map was made from, its matrix dropped: bandwidth ε, the curve it was chosen from, widths.
    vectors : (n, d) Tensor, float32
        The frames' vectors.
    densities : (n,) float32
        q^α of each frame.
    options : DiffusionOptions
        How it was made.
    """

    coordinates: Floats
    eigenvalues: Floats
    kernel: Kernel
    vectors: Tensor
    densities: Floats
    options: DiffusionOptions

    def place(self, vectors: Floats | Tensor) -> Floats:
        """Return the coordinates of other frames, ``(m, k)``, by Nyström's extension.

        ψ(x) = (1/λ) Σ_j p(x, j) ψ_j: the mean of ψ after one step of the diffusion from x into the known frames, over
        λ. The density at x itself cancels in p. A frame far from all known ones gets its nearest frames' coordinates.

        Raises
        ------
        InputError
            If the vectors have another length than the known ones.
        """
        new = torch.as_tensor(vectors, dtype=torch.float32, device=self.vectors.device)
        if new.ndim != 2 or new.shape[1] != self.vectors.shape[1]:
            raise InputError(
                f"vectors {tuple(new.shape)} don't fit a map of vectors of length {self.vectors.shape[1]}; "
                "prepare frames with the same mask and crop"
            )
        squared = squared_distances(new, self.vectors)
        widths = kernel_widths(squared, self.kernel.bandwidth, self.options.company)
        if self.options.neighbours is not None and self.kernel.reach is not None:
            kept = min(self.options.neighbours + 1, len(self.vectors))
            farthest = torch.topk(squared, kept, largest=False).values[:, -1:]
            squared.masked_fill_((squared > farthest) & (squared > self.kernel.reach), torch.inf)
        exponents = squared.mul_(-1.0 / self.kernel.bandwidth).div_(widths[:, None]).div_(self.kernel.widths)
        exponents -= torch.from_numpy(np.log(self.densities)).to(new.device)
        steps = torch.softmax(exponents, dim=1) @ torch.from_numpy(self.coordinates).to(new.device)
        return np.asarray(steps.cpu().numpy() / self.eigenvalues, dtype=np.float32)


def diffusion_map(
    vectors: Floats, options: DiffusionOptions | None = None, *, device: str | torch.device | None = "cpu"
) -> DiffusionMap:
    """Return the diffusion map of some frames.

    Parameters
    ----------
    vectors : (n, d) float32
        One vector a frame, as `frame_vectors` makes them.
    options : DiffusionOptions, optional
        How; None takes the defaults.
    device : str or torch.device, optional
        Where distances and products are computed; None takes a GPU if there is one.

    Raises
    ------
    InputError
        If there are too few frames for so many coordinates, a value isn't finite, or all frames are equal.

    References
    ----------
    Coifman & Lafon, Appl. Comput. Harmon. Anal. 21, 5 (2006); for snapshots of single particles: Yoon et al.,
    Opt. Express 19, 16542 (2011).
    """
    chosen = options or DiffusionOptions()
    _check(vectors, chosen)
    points = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(resolve_device(device))
    if chosen.neighbours is None:
        kernel = dense_kernel(points, bandwidth=chosen.bandwidth, company=chosen.company)
    else:
        kernel = neighbour_kernel(points, chosen.neighbours, bandwidth=chosen.bandwidth, company=chosen.company)
    matrix, densities, degrees = normalised(kernel, alpha=chosen.alpha)
    eigenvalues, coordinates = _slowest(matrix, degrees, chosen)
    return DiffusionMap(
        coordinates=coordinates,
        eigenvalues=eigenvalues,
        kernel=replace(kernel, matrix=None),
        vectors=points,
        densities=densities**chosen.alpha,
        options=chosen,
    )


def _check(vectors: Floats, options: DiffusionOptions) -> None:
    if vectors.ndim != 2 or len(vectors) < options.coordinates + 3:
        raise InputError(
            f"{options.coordinates} coordinates need vectors (n, d) with n at least {options.coordinates + 3}, "
            f"got {vectors.shape}; ask for fewer coordinates or give more frames"
        )
    if not np.isfinite(vectors.sum(axis=1)).all():
        raise InputError("vectors hold values that aren't finite; frame_vectors makes vectors without them")


def _slowest(matrix: Matrix, degrees: Floats, options: DiffusionOptions) -> tuple[Floats, Floats]:
    """Return the greatest eigenvalues below the trivial one, and the Markov matrix's eigenvectors.

    The trivial eigenvector of the symmetric matrix, √d, is known: it is taken out, and the solver looks for the rest.
    """
    root = np.sqrt(degrees.astype(np.float64))
    trivial = (root / np.linalg.norm(root)).astype(np.float32)

    def product(vector: Floats) -> Floats:
        flat = np.ascontiguousarray(vector, dtype=np.float32).reshape(-1)
        return _times(matrix, flat) - trivial * np.float32(trivial @ flat)

    n = len(root)
    operator = LinearOperator((n, n), matvec=product, dtype=np.float32)
    first = np.random.default_rng(options.seed).standard_normal(n).astype(np.float32)
    basis = min(n - 1, 6 * options.coordinates + 6)
    values, vectors = eigsh(operator, k=options.coordinates, which="LA", v0=first, ncv=basis, tol=_EIGEN_TOLERANCE)
    order = np.argsort(values)[::-1]
    right = vectors[:, order] / trivial[:, None]
    largest = right[np.abs(right).argmax(axis=0), np.arange(right.shape[1])]
    return values[order].astype(np.float32), (right * np.sign(largest)).astype(np.float32)


def _times(matrix: Matrix, vector: Floats) -> Floats:
    if isinstance(matrix, Tensor):
        return np.asarray(torch.mv(matrix, torch.from_numpy(vector).to(matrix.device)).cpu().numpy())
    return np.asarray(matrix @ vector)
