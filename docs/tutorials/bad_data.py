# %% [markdown]
# # Reading the quality figures, with bad data
#
# A small object measured well, the same with too few photons, and a glow in which there is nothing. What do the figures say?

# %%
import matplotlib.pyplot as plt
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
bright = diffract(crystal, n_photons=1e7, seed=0)
good = friedel.reconstruct(bright, plan=quick, seed=0)
print(
    f"χ {good.quality.chi:.3f}; {good.quality.n_agreeing} of {good.quality.n_starts} agree; trusted: {good.quality.trusted}"
)

# %% [markdown]
# **Too few photons.** χ is large because each photon is a large part of what there is. That alone isn't wrong: a misfit of voxels that were never
# fitted near 1 × what photon noise gives says that the model explains all that can be explained. What suffers is the resolution, and how well the
# starts agree.

# %%
faint = diffract(crystal, n_photons=2e4, seed=0)
dim = friedel.reconstruct(faint, plan=quick, seed=0)
print(
    f"χ {dim.quality.chi:.3f}; {dim.quality.noise_factor:.2f} × what photon noise gives; trusted: {dim.quality.trusted}"
)

# %% [markdown]
# **Not a crystal at all.** Noise is refused: neighbouring pixels have nothing in common.

# %%
random = np.random.default_rng(0)
try:
    friedel.reconstruct(random.poisson(3.0, (24, 24, 24)))
except friedel.InputError as error:
    print(error)

# %% [markdown]
# A glow of scattered air or a fluorescing holder isn't noise: its pixels are alike. It has no fringes; all the same it has a χ, and a support is
# found for it. The verdict and its reasons say that nothing is there.

# %%
glow = random.poisson(200 * np.exp(-(((z**2 + y**2 + x**2) / 200.0) ** 0.5))).astype(np.float32)
nothing = friedel.reconstruct(glow, plan=quick, seed=0)
print(f"χ {nothing.quality.chi:.3f}; trusted: {nothing.quality.trusted}")
for reason in nothing.quality.reasons:
    print("-", reason)

# %% [markdown]
# **Side by side.** Above, the middle slice of each pattern; below, the amplitude of what was found, with the crystal's true outline in white. The
# glow has the lower χ of the two that are not trusted.

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 6.2), layout="constrained")
cases = {"well measured": (bright, good), "too few photons": (faint, dim), "a glow": (glow, nothing)}
for (pattern, image), (name, (photons, result)) in zip(axes.T, cases.items(), strict=True):
    middle = photons.shape[0] // 2
    shown = pattern.imshow(np.log10(photons[middle] + 1), cmap="magma", origin="lower")
    pattern.set(title=f"{name}\n{photons.sum():.0e} photons", xticks=[], yticks=[])
    figure.colorbar(shown, ax=pattern, label="log₁₀(photons + 1)", shrink=0.8)
    amplitude = abs(result.object)
    shown = image.imshow(amplitude[middle] / amplitude.max(), cmap="viridis", origin="lower", vmin=0, vmax=1)
    if name != "a glow":
        image.contour(abs(crystal[middle]), levels=[0.5], colors="white", linewidths=1)
    verdict = "trusted" if result.quality.trusted else "not trusted"
    image.set(title=f"{verdict}, χ = {result.quality.chi:.2f}", xticks=[], yticks=[])
    figure.colorbar(shown, ax=image, label="amplitude, relative", shrink=0.8)
figure

# %% [markdown]
# So: first the verdict, then its reasons, then agreement and free deviance; χ last, and never to compare supports of different size.
# [Read the quality figures](../howto/quality.md) has the rest.
