"""One crystal, atom by atom: drawn, relaxed by LAMMPS, put on voxels."""

from friedel.samples.crystal_field import CrystalField
from friedel.samples.crystal_options import CrystalRunOptions
from friedel.samples.lammps import relax
from friedel.samples.unrelaxed import draw_crystal
from friedel.samples.voxelise import crystal_field


def atomistic_crystal(options: CrystalRunOptions, number: int) -> CrystalField:
    """Draw and relax one crystal of a run.

    Parameters
    ----------
    options : CrystalRunOptions
        Ranges and seed.
    number : int
        Which crystal of the run; the same number gives the same crystal.

    Raises
    ------
    MissingDependencyError
        Without LAMMPS.
    InputError
        If the metal's potential is missing, too few atoms are left, or they don't fit the box.
    RelaxationError
        If LAMMPS dies or takes too long.
    """
    crystal = draw_crystal(options, number)
    return crystal_field(crystal, relax(crystal, timeout_s=options.timeout_s), voxels=options.voxels)
