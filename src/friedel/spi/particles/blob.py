"""Irregular smooth bodies: one connected piece of a random field above zero.

Cells, grains, folded proteins seen from afar: anything without facets or symmetry.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

N_WAVES = 24  # of each random field: their sum is then nearly Gaussian
SURVEY = 32
"""Voxels along an edge of the coarse grid on which the field's largest piece is looked for."""


def blob(rng: np.random.Generator, *, n: int, diameter_voxels: float) -> NDArray[np.float32]:
    """Make a smooth irregular body.

    Random plane waves are added to a bowl, 1 − r²; the largest connected piece above zero is the body. Strength and
    length of the waves are drawn too: weak or long ones give rounded bodies, strong and short ones lobes, dents, holes.

    Parameters
    ----------
    rng : numpy Generator
        Source of chance.
    n : int
        Voxels along each edge of the box.
    diameter_voxels : float
        Diameter of the sphere about the box's centre that holds the body, to about a voxel.

    Returns
    -------
    (z, y, x) float32
        0 outside to 1 inside, the origin at index ``n // 2``.
    """
    field = _Field.random(rng)
    centre, radius = _whereabouts(field)
    ticks = (np.arange(n) - n // 2) * (2 * radius / diameter_voxels)
    values = field.on(centre[:, None] + ticks)
    slope = np.sqrt(sum(step**2 for step in np.gradient(values)))
    share = np.clip(values / np.maximum(slope, 1e-6) + 0.5, 0.0, 1.0)
    # The skin around the piece belongs to it, with the share that its voxels are filled.
    body = ndimage.binary_dilation(_largest_piece(values > 0), np.ones((3, 3, 3)))
    return np.where(body, share, 0.0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Field:
    """1 − r² + Σ strength · cos(k·r + phase)."""

    wave_vectors: Floats
    phases: Floats
    strength: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> "_Field":
        length, strength = rng.uniform(1.0, 3.0), rng.uniform(0.3, 1.0)
        directions = rng.normal(size=(N_WAVES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = length * rng.uniform(0.7, 1.5, (N_WAVES, 1))
        return cls(2 * np.pi * directions / lengths, rng.uniform(0, 2 * np.pi, N_WAVES), strength)

    def on(self, axes: Floats) -> Floats:
        """Return the field on the grid that three axes ``(3, n)`` span, ``(n, n, n)``."""
        z, y, x = axes
        bowl = 1.0 - (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        # A plane wave is a product of its three axes' waves: sums of products instead of n³ cosines a wave.
        waves = [np.exp(1j * np.outer(axis, k)) for axis, k in zip(axes, self.wave_vectors.T, strict=True)]
        columns = waves[0][:, None, :] * waves[1][None, :, :] * np.exp(1j * self.phases)
        total = (columns.reshape(-1, N_WAVES) @ waves[2].T).real.reshape(bowl.shape)
        return np.asarray(bowl + self.strength * np.sqrt(2 / N_WAVES) * total)


def _whereabouts(field: _Field) -> tuple[Floats, float]:
    """Return the centroid of the field's largest piece and the radius about it that holds the piece."""
    ticks = np.linspace(-2.2, 2.2, SURVEY)
    piece = _largest_piece(field.on(np.broadcast_to(ticks, (3, SURVEY))) > 0)
    places = ticks[np.argwhere(piece)]
    centre = places.mean(axis=0)
    step = float(ticks[1] - ticks[0])
    return centre, float(np.linalg.norm(places - centre, axis=1).max()) + step / 2


def _largest_piece(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == int(sizes.argmax()))
