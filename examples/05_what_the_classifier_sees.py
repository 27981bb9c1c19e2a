# %% [markdown]
# # What the classifier sees
#
# Simulate single hits, pairs, aggregates and debris; classify them; and look at what the default model looks at: the
# pattern, and the spectrum of its fringes, in which a second particle shows as a pair of lobes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import friedel
from friedel.spi.forward.frames import ParticleRunOptions, simulate_frames
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.forward.scene import Kind
from friedel.spi.hits.features.features import model_input
from friedel.spi.hits.preparation.prepare import prepare
from friedel.spi.hits.preparation.run_calibration import measure_run

rng = np.random.default_rng(4)
y, x = np.indices((128, 128)) - 63.5
mask = (np.hypot(y, x) > 5) & (np.abs(y) > 1.5)  # a central hole, and the gap between two halves


# %%
def frame(kind: Kind, particle: str, seed: int) -> np.ndarray:
    options = ParticleRunOptions(
        particles=(particle,),
        diameter_nm=110,
        frame_shape=(128, 128),
        fluence_photons_per_um2=5e10,
        faintest=0.5,
        single_fraction=float(kind is Kind.SINGLE),
        bad_kinds={kind: 1.0},
        readout=ReadoutOptions(background_photons=0.05, fluctuation=0.2),
        chunk=1,
        seed=seed,
    )
    return simulate_frames(options, 0, mask=mask).frames[0]


shown = [
    (Kind.SINGLE, "icosahedron", 1),
    (Kind.SINGLE, "torus", 3),
    (Kind.SEVERAL, "icosahedron", 7),
    (Kind.TOUCHING, "icosahedron", 3),
    (Kind.DEBRIS, "icosahedron", 2),
]
frames = np.stack([frame(*which) for which in shown])

# %% [markdown]
# No mask is given: the hole and the gap are found, as pixels that stay dark beside bright ones.

# %%
scores = friedel.classify(frames)
for (kind, particle, _), single, fringes in zip(shown, scores.single, scores.fringes, strict=True):
    print(f"{kind:9s} {particle:12s} single {single:.2f}, fringes {fringes:.0f}")

# %%
everywhere = np.ones((128, 128), dtype=bool)
constants = measure_run(frames, everywhere)
seen = model_input(prepare(frames, everywhere, constants)).numpy()
unknown_is_grey = plt.get_cmap("magma").with_extremes(bad="0.6")
figure, axes = plt.subplots(3, len(shown), figsize=(2.4 * len(shown), 7.2), layout="constrained")
for column, (kind, particle, _) in enumerate(shown):
    photons = np.where(mask, frames[column], np.nan)
    pictures = [np.log10(1 + photons), seen[column, 2], seen[column, 0]]
    for axis, picture in zip(axes[:, column], pictures, strict=True):
        axis.imshow(picture, cmap=unknown_is_grey)
        axis.set(xticks=[], yticks=[])
    axes[0, column].set_title(f"{kind}: {particle}\nsingle {scores.single[column]:.2f}", fontsize=9)
for row, name in enumerate(("recorded, log₁₀(1 + photons)", "the pattern, prepared", "its fringes' spectrum")):
    axes[row, 0].set_ylabel(name, fontsize=9)
figure.savefig("what_the_classifier_sees.png", dpi=110)
