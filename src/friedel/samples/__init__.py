"""What scatters: facetted crystals, their displacement fields, single particles, and their voxel objects."""

from friedel.samples.atomistic import atomistic_crystal
from friedel.samples.continuum import continuum_crystal
from friedel.samples.crystal import Crystal, random_crystal
from friedel.samples.crystal_field import CrystalField
from friedel.samples.crystal_options import CrystalRunOptions
from friedel.samples.drawn_object import DrawnObject, drawn_object
from friedel.samples.form_factor import form_factor
from friedel.samples.lattice import LatticeCrystal, gold_crystal
from friedel.samples.particle import PARTICLES, Particle, particle
from friedel.samples.polyhedra import Polyhedron
from friedel.samples.recipes import STRAINS
from friedel.samples.shapes import SHAPES

__all__ = [
    "PARTICLES",
    "SHAPES",
    "STRAINS",
    "Crystal",
    "CrystalField",
    "CrystalRunOptions",
    "DrawnObject",
    "LatticeCrystal",
    "Particle",
    "Polyhedron",
    "atomistic_crystal",
    "continuum_crystal",
    "drawn_object",
    "form_factor",
    "gold_crystal",
    "particle",
    "random_crystal",
]
