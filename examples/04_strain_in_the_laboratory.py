# %% [markdown]
# # Displacement and strain in the laboratory
#
# The measurement's voxels are skewed. `analyse` interpolates the complex field, never the phase, onto a cubic
# laboratory grid, and takes the strain from the field itself, without unwrapping.

# %%
import numpy as np

from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import PERFECT, gold_111_geometry, simulate_scan
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.strain.analysis import analyse

geometry = gold_111_geometry((48, 48, 48))
crystal = gold_crystal(geometry.grid.q_bragg, seed=3, diameter_angstrom=2500.0, phase_range_rad=2.0)
simulated = simulate_scan(crystal, geometry, n_photons=1e7, seed=3, imperfections=PERFECT)
diffraction = prepare(simulated.scan, PrepareOptions(shape=(48, 48, 48)))

# %%
result = reconstruct_diffraction(diffraction, PhasingOptions(), seed=0)
image = analyse(result)

# %% [markdown]
# Positive strain is a larger lattice spacing. Values are NaN outside the crystal's surface.

# %%
assert image.strain is not None
assert image.voxel_size_angstrom is not None
inside = image.support
print(f"voxels of {image.voxel_size_angstrom:.0f} Å, {inside.sum()} inside the surface")
print(f"strain from {np.nanmin(image.strain):.1e} to {np.nanmax(image.strain):.1e}")
print(f"mean spacing {image.d0_angstrom:.4f} Å")
for note in image.notes:
    print("-", note)
