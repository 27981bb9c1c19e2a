# %% [markdown]
# # Read a result, with friedel and without
#
# A result holds more than the object: the quality with its reasons, every start, and how it was made.

# %%
import h5py

import friedel
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.results.save import load_reconstruction

crystal = random_crystal((32, 32, 32), seed=2, phase_range_rad=2.0)
friedel.reconstruct(diffract(crystal.object, n_photons=1e7, seed=2), seed=0).save("result.cxi")

# %% [markdown]
# ## With friedel

# %%
result = load_reconstruction("result.cxi")
quality = result.quality
print(f"χ {quality.chi:.4f}; {quality.n_agreeing} of {quality.n_starts} starts agree; trusted: {quality.trusted}")
for start in result.starts:
    print(f"  χ {start.chi:.4f}, support {start.support_voxels}, correlation {start.correlation:.3f}, {start.chosen=}")

# %% [markdown]
# How it was made: seed, versions, and a note from every step.

# %%
made = result.provenance
print(f"seed {made.seed}, friedel {made.versions['friedel']}, {made.seconds:.1f} s")
for step, sentence in made.notes:
    print(f"  {step}: {sentence}")

# %% [markdown]
# ## Without friedel
#
# A CXI file is HDF5; h5py reads the compound of real and imaginary parts as complex numbers.

# %%
with h5py.File("result.cxi") as file:
    image = file["entry_1/image_1/data"][()]
print(image.dtype, image.shape)
