"""Particles from a plan's files, with the size and the electrons that the forward model takes them by."""

from dataclasses import dataclass, replace

import numpy as np

from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.particles.densities import density_particle
from friedel.spi.particles.molecules import STRUCTURES, molecule
from friedel.spi.particles.particle import Particle
from friedel.spi.simulation.plan import SampleFile


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """A particle as the forward model takes it.

    Attributes
    ----------
    particle : Particle
        Its density, relative to ``run.electron_density_per_nm3``.
    diameter_nm : float
        Diameter of its enclosing sphere.
    """

    particle: Particle
    diameter_nm: float


def read_sample(file: SampleFile, run: ParticleRunOptions) -> Sample:
    """Read a particle from a file.

    A structure's atoms keep their own number of electrons. A map has no unit that could be trusted: where it is above
    half its maximum it gets, on average, the density of the run's material.

    Raises
    ------
    InputError
        If the file can't be used.
    MissingDependencyError
        Without the package that reads it.
    """
    if file.path.suffix.lower() in STRUCTURES:
        made = molecule(file.path, n=file.n, assembly=file.assembly, photon_energy_ev=run.photon_energy_ev)
        voxel = float(made.voxel_size_angstrom or 1.0)
        unit = run.electron_density_per_nm3 * 1e-3 * voxel**3  # electrons a voxel of the run's material holds
    else:
        made = density_particle(file.path, n=file.n, voxel_size_angstrom=file.voxel_size_angstrom)
        unit = float(made.density[made.density > 0.5 * made.density.max()].mean())
    own = made.voxel_size_angstrom
    diameter = run.diameter_nm if own is None else made.diameter_voxels * own / 10
    return Sample(
        particle=replace(made, density=(made.density / np.float32(unit)).astype(np.float32)), diameter_nm=diameter
    )
