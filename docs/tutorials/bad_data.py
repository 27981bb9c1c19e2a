# %% [markdown]
# # Reading the quality figures, with bad data
#
# The same small object measured well, with too few photons, and undersampled. What do the figures say?

# %%
import numpy as np

import friedel
from friedel.bcdi.forward.bragg import diffract

n = 32
z, y, x = np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij")
inside = (abs(z) < 5) & (abs(y) < 6) & (abs(x + 0.4 * y) < 4) & (abs(z + y + x) < 9)
crystal = inside * np.exp(0.7j * np.sin(x / 4 + y / 6))
quick = {"start": "random", "starts": 2}

# %% [markdown]
# **Well measured.** The starts agree, χ is near the photons' floor.

# %%
good = friedel.reconstruct(diffract(crystal, n_photons=1e7, seed=0), plan=quick, seed=0)
print(
    f"χ {good.quality.chi:.3f}; {good.quality.n_agreeing} of {good.quality.n_starts} agree; trusted: {good.quality.trusted}"
)

# %% [markdown]
# **Too few photons.** χ is large because each photon is a large part of what there is. That alone isn't wrong: the *free deviance* near 1 says
# that the model explains what was never fitted. What suffers is the resolution, and the starts' agreement.

# %%
dim = friedel.reconstruct(diffract(crystal, n_photons=2e4, seed=0), plan=quick, seed=0)
print(f"χ {dim.quality.chi:.3f}; free deviance {dim.quality.free_deviance}; trusted: {dim.quality.trusted}")

# %% [markdown]
# **Not a crystal at all.** Noise has a χ as well, and a support is found for it. The verdict and its reasons say that nothing is there.

# %%
noise = np.random.default_rng(0).poisson(3.0, (24, 24, 24)).astype(float)
nothing = friedel.reconstruct(noise, plan=quick, seed=0)
print(f"χ {nothing.quality.chi:.3f}; trusted: {nothing.quality.trusted}")
for reason in nothing.quality.reasons:
    print("-", reason)

# %% [markdown]
# So: first the verdict, then its reasons, then agreement and free deviance; χ last, and never to compare supports of different size.
# [Read the quality figures](../howto/quality.md) has the rest.
