# %% [markdown]
# # Reconstruct a volume
#
# The shortest way: an array of photons in, a reconstruction with its quality out. Here the array is simulated, so that
# the truth is known; `intensities = np.load("crystal.npy")` is the same for real data.

# %%
import numpy as np

import friedel
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract

crystal = random_crystal((32, 32, 32), seed=1, phase_range_rad=3.0)
intensities = diffract(crystal.object, n_photons=1e7, seed=1)

# %% [markdown]
# Voxels that weren't measured are NaN. They stay unknown: free, never a measured zero.

# %%
intensities[:, 10:12, :] = np.nan

# %%
result = friedel.reconstruct(intensities, seed=0)
print(f"χ {result.quality.chi:.4f}, support {result.quality.support_voxels} voxels")
for reason in result.quality.reasons:
    print("-", reason)

# %% [markdown]
# The suffix chooses the format: `.cxi` for archives, `.npz` for scripts, `.vti` for ParaView.

# %%
result.save("crystal.cxi")
