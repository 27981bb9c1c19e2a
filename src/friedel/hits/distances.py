"""Squared Euclidean distances between many long vectors, as matrix products in blocks.

|x − y|² = |x|² + |y|² − 2 x·y: nearly all the time goes into one large product, of which symmetry saves half.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

BLOCK = 512


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
