"""Defects of a crystal before relaxation: vacancies, twins, stacking faults, dislocations; facets that are held."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals.displacement import Displacement, edge_dislocation, screw_dislocation
from friedel.core.outlines import family
from friedel.core.polyhedra import Polyhedron

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def close_packed_plane(rng: np.random.Generator) -> Floats:
    """Return the unit normal of a {111} plane, ``(3,)``."""
    return np.asarray(rng.choice(family((1, 1, 1))))


def twinned(
    lattice: Floats, outline: Polyhedron, *, normal: Floats, plane: int, spacing: float
) -> tuple[Floats, Flags]:
    """Return the sites of a twinned crystal.

    Beyond the mirror plane, which is a plane of sites, the lattice is the parent's mirror image; the outline stays.

    Parameters
    ----------
    lattice : (n, 3) float64
        Sites of the parent lattice, well beyond the outline.
    outline : Polyhedron
        The crystal.
    normal : (3,) float64
        Unit normal of the {111} mirror plane.
    plane : int
        Number of the mirror plane, counted from the origin.
    spacing : float
        Distance of the planes.

    Returns
    -------
    sites : (m, 3) float64
        Sites inside the outline.
    parent : (m,) bool
        False for the twin.
    """
    height = lattice @ normal - plane * spacing
    below = lattice[height < spacing / 2]
    beyond = lattice[height < -spacing / 2]
    mirrored = beyond - 2 * (beyond @ normal - plane * spacing)[:, None] * normal
    sites = np.concatenate([below, mirrored])
    inside = outline.depth(sites) >= 0
    return sites[inside], (np.arange(len(sites)) < len(below))[inside]


def stacking_fault(normal: Floats, height: float, *, lattice_constant: float, which: int) -> Displacement:
    """Return the slip of an intrinsic stacking fault: all above ``height`` along ``normal`` moves by ⅙⟨112⟩.

    ``which`` (0, 1, 2) picks one of the three directions that keep atoms apart.

    Parameters
    ----------
    normal : (3,) float64
        Unit normal of the fault's {111} plane.
    height : float
        Distance of the plane from the origin, Å.
    lattice_constant : float
        Å.
    which : int
        0, 1 or 2: which of the three directions that keep atoms apart.
    """
    slip = np.sign(normal)
    slip[which % 3] *= -2
    slip *= lattice_constant / 6
    return lambda positions: np.where((positions @ normal > height)[..., None], slip, 0.0)


def perfect_dislocation(
    point: Floats, normal: Floats, *, lattice_constant: float, edge: bool, which: int
) -> Displacement:
    """Return the field of a perfect dislocation ½⟨110⟩ that glides on the {111} plane of the given normal.

    Parameters
    ----------
    point : (3,) float64
        On its line.
    normal : (3,) float64
        Unit normal of the glide plane.
    lattice_constant : float
        Edge of the cubic cell.
    edge : bool
        The line is normal to the Burgers vector; otherwise it lies along it (screw).
    which : int
        0, 1, 2: which of the plane's Burgers vectors.
    """
    signs = np.sign(normal)
    burgers = np.roll([1.0, -1.0, 0.0], which) * signs * lattice_constant / 2
    length = float(np.linalg.norm(burgers))
    if edge:
        # The field's cut lies in the glide plane and slips by a lattice translation: both sides match.
        return edge_dislocation(point, np.cross(burgers / length, normal), burgers, core=lattice_constant / 2)
    return screw_dislocation(point, burgers / length, burgers=length)


def without_vacancies(n_atoms: int, share: float, rng: np.random.Generator) -> Flags:
    """Return which atoms are there, ``(n_atoms,)``, a random ``share`` of them missing."""
    kept = np.ones(n_atoms, dtype=bool)
    kept[rng.choice(n_atoms, size=round(share * n_atoms), replace=False)] = False
    return kept


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
    """Return ``n_held`` contacts on facets of an outline, or as many as it has.

    Parameters
    ----------
    outline : Polyhedron
        The crystal's outline.
    n_held : int
        Facets to hold.
    max_strain : float
        Largest strain of a held facet.
    rng : Generator
        Draws facets and strains.
    """
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
