"""Orientations: view directions on a sphere, in-plane angles, and what symmetry leaves of them.

A rotation R takes a detector's q to the particle's frame: the pixel at q measures I(R q). R = V Z(α): Z turns by α
around the beam (z), V takes the beam's axis to the view direction. Vectors are (x, y, z).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from friedel.core.errors import PlanError

Floats = NDArray[np.float64]

_GENERIC = np.array([0.3517, 0.5261, 0.7743])
"""A direction on no axis and no mirror of any group in its standard setting."""


def symmetry_group(name: str) -> Floats:
    """Return a point group's rotations, ``(order, 3, 3)``: "C1", "C5", "D2", "T", "O", "I"; main axis along z.

    Raises
    ------
    PlanError
        If there is no such group.
    """
    try:
        return Rotation.create_group("C1" if name.lower() == "none" else name.upper()).as_matrix()
    except ValueError:
        raise PlanError(f"no symmetry {name!r}; choose C1, Cn, Dn (as C5, D2), T, O or I") from None


def sphere(n: int) -> Floats:
    """Return ``n`` directions spread evenly over the sphere, ``(n, 3)``: the Fibonacci lattice."""
    index = np.arange(n) + 0.5
    z = 1 - 2 * index / n
    azimuth = np.pi * (1 + 5**0.5) * index
    return np.stack([np.sqrt(1 - z**2) * np.cos(azimuth), np.sqrt(1 - z**2) * np.sin(azimuth), z], axis=1)


def turned_views(n: int, rng: np.random.Generator, group: Floats) -> Tensor:
    """Return about n / order view rotations V, ``(n_views, 3, 3)`` float32, over the part that symmetry leaves.

    The whole lattice is turned at random, so that no direction is favoured over the iterations.
    """
    turn = Rotation.random(random_state=rng)
    directions = turn.apply(sphere(n))
    if len(group) > 1:
        images = directions @ np.moveaxis(group, 0, 0).transpose(0, 2, 1) @ _GENERIC
        directions = directions[images.argmax(axis=0) == _identity(group)]
    polar = np.arccos(np.clip(directions[:, 2], -1, 1))
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    views = Rotation.from_euler("z", azimuth[:, None]) * Rotation.from_euler("y", polar[:, None])
    return torch.from_numpy(views.as_matrix().astype(np.float32))


def _identity(group: Floats) -> int:
    return int(np.trace(group, axis1=1, axis2=2).argmax())


def in_plane(angles: Floats) -> Floats:
    """Return the rotations Z(α) around the beam, ``(n, 3, 3)``."""
    return Rotation.from_euler("z", np.asarray(angles)[:, None]).as_matrix()
