# %% [markdown]
# # Training on your material
#
# The shipped phasing network learnt from fcc crystals with up to two and a half turns of phase. If yours are of one kind, a network that has seen only
# that kind has less to learn. This page trains a small one for half a minute on a CPU, to show the way; the shipped one had 55 minutes.
#
# **What do your crystals look like?** Look at what is learnt from before learning from it: crystals pulled by a substrate, with at most one turn of phase.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from friedel.bcdi.training.patterns import crystal_pattern
from friedel.bcdi.training.plan import CrystalOptions
from friedel.core.fourier import inverse_fourier

mine = CrystalOptions(
    size=16, oversampling=(1.4, 1.6), phase_range_rad=(1.0, 6.0), photons=(1e6, 1e7), strains=("substrate",), gaps=0.0
)
figure, axes = plt.subplots(2, 5, figsize=(9, 3.8), layout="constrained")
for column in range(5):
    pattern = crystal_pattern(column, mine, seed=0)
    object_ = inverse_fourier(torch.from_numpy(pattern.diffraction)).numpy()
    axes[0, column].imshow(np.log10(1 + pattern.intensities[8]), cmap="magma")
    shown = np.where(abs(object_[8]) > 0.4 * abs(object_).max(), np.angle(object_[8]), np.nan)
    axes[1, column].imshow(shown, cmap="twilight", vmin=-np.pi, vmax=np.pi)
for panel, name in zip(axes[:, 0], ("photons", "phase"), strict=True):
    panel.set_ylabel(name)
for panel in axes.ravel():
    panel.set(xticks=[], yticks=[])
figure

# %% [markdown]
# **The plan** is a file for `friedel train phasing --plan mine.yaml -o model`. With crystals of your own, relaxed atom by atom, `store:` names
# [their file](../crystals_simulation.md).

# %%
plan = """
name: mine
curriculum:
  crystals: {size: 16, oversampling: [1.4, 1.6], phase_range_rad: [1.0, 6.0], photons: [1.0e+6, 1.0e+7], strains: [substrate], gaps: 0.0, symmetries: 8}
  patterns: 512
  validation: 64
model: {architecture: phase_unet, options: {width: 8, levels: 2}}
training: {epochs: 5, batch: 16, learning_rate: 0.004, precision: float32}
"""
from pathlib import Path

Path("mine.yaml").write_text(plan)

# %%
import logging

from friedel.bcdi.training.plan import PhasingTrainingPlan
from friedel.bcdi.training.train import train_phasing

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
model = train_phasing(PhasingTrainingPlan.load("mine.yaml"), Path("model"))
print(model.card.figures)
print(model.card.data)

# %% [markdown]
# **Is it any good?** The card's figures are of crystals that never occur in training. The measure of what it learnt is the figure without any phases: the
# correlation of an object whose Fourier phases are all zero with the truth. `friedel.predict` with the model's folder, on patterns it hasn't seen:

# %%
import friedel
from friedel.bcdi.training.losses import blind_correlation  # at the best shift, for the better of the twins
from friedel.core.fourier import fourier

rows = {"the network alone": [], "without phases": []}
for number in range(12):
    pattern = crystal_pattern(number, mine, seed=99)
    truth = torch.from_numpy(pattern.diffraction)[None]
    photons = np.where(pattern.measured, pattern.intensities, np.nan)
    predicted = fourier(torch.from_numpy(friedel.predict(photons, model="model").object))[None]
    rows["the network alone"].append(float(blind_correlation(predicted, truth)))
    rows["without phases"].append(float(blind_correlation(truth.abs() + 0j, truth)))
for name, values in rows.items():
    print(f"{name}: correlation with the truth {np.median(values):.3f} (median of {len(values)})")

# %% [markdown]
# Half a minute of one core and 16³ voxels make no network to publish with. What to look at next: more patterns first (`patterns`, `epochs`), then a larger
# grid, then a larger network; and [`friedel evaluate phasing`](../howto/evaluate_phasing.md), which puts your model beside the shipped one on crystals
# neither has seen. `phasing: {model: model}` in a plan starts from your predictions, and refines them against the photons as any other start.
