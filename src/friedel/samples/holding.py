"""What strains a crystal and keeps it strained: facets held by a substrate or by neighbours, each deformed its own way.

A free crystal relaxes a uniform strain away. Where a facet is bonded to something stiff, a film cooled from its growth
temperature or a neighbouring grain, the contact keeps its deformation and the elastic field reaches inwards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.samples.polyhedra import Polyhedron

Floats = NDArray[np.float64]
KINDS = ("compressive", "tensile", "shear", "mixed")


@dataclass(frozen=True, eq=False)
class Contact:
    """A held facet.

    Attributes
    ----------
    normal : (3,) float64
        Outward unit normal.
    distance : float
        From the origin, Å.
    gradient : (3, 3) float64
        Displacement gradient that it keeps.
    """

    normal: Floats
    distance: float
    gradient: Floats

    def depth(self, positions: Floats) -> Floats:
        """Return how far positions ``(..., 3)`` lie below the facet, Å."""
        return np.asarray(self.distance - positions @ self.normal)


def random_gradient(rng: np.random.Generator, max_strain: float) -> tuple[Floats, str]:
    """Return a symmetric displacement gradient ``(3, 3)`` and its kind: compressive, tensile, shear or mixed."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    normal = np.diag(rng.uniform(0, 1, 3))
    shear = np.triu(rng.uniform(-1, 1, (3, 3)), 1)
    shear = shear + shear.T
    gradient = {"compressive": -normal, "tensile": normal, "shear": shear, "mixed": shear + np.diag(rng.normal(size=3))}
    drawn = gradient[kind]
    return np.asarray(drawn * (rng.uniform(0, max_strain) / np.abs(drawn).max())), kind


def random_contacts(outline: Polyhedron, n_held: int, *, max_strain: float, rng: np.random.Generator) -> list[Contact]:
    """Return ``n_held`` contacts on facets of an outline, or as many as it has."""
    facets = np.asarray(outline.facets)
    chosen = rng.choice(facets, size=min(n_held, len(facets)), replace=False)
    return [
        Contact(outline.normals[k], float(outline.distances[k]), random_gradient(rng, max_strain)[0]) for k in chosen
    ]


def deformation(positions: Floats, contacts: list[Contact], gradient: Floats, *, decay: float) -> Floats:
    """Return where a crystal begins: each contact's own deformation near it, the crystal's elsewhere.

    Parameters
    ----------
    positions : (..., 3) float64
        Å.
    contacts : list of Contact
        Held facets.
    gradient : (3, 3) float64
        Displacement gradient away from all of them.
    decay : float
        Depth at which a contact's share has fallen to 1/e, Å.

    Returns
    -------
    (..., 3) float64, Å
        Displacement.
    """
    total = positions @ gradient.T
    for contact in contacts:
        share = np.exp(-np.maximum(contact.depth(positions), 0.0) / decay)
        total = total + share[..., None] * (positions @ (contact.gradient - gradient).T)
    return np.asarray(total)


def held_by(positions: Floats, contacts: list[Contact], thickness: float) -> NDArray[np.bool_]:
    """Return which positions ``(n, 3)`` lie within ``thickness`` of a contact, ``(n,)``."""
    held = np.zeros(len(positions), dtype=bool)
    for contact in contacts:
        held |= contact.depth(positions) <= thickness
    return held
