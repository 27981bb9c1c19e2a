# %% [markdown]
# # From a run to hits to a particle
#
# A run at an X-ray laser: frames of one particle alone, of several, of droplets and of nothing. Which are hits, how large are the particles, and what
# do all hits together look like? The run is simulated, so that there is a truth; with your own, begin at "Hits".

# %%
from pathlib import Path

from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

beam = ParticleRunOptions(
    particles=("octahedron",), diameter_nm=60, diameter_spread=0.01, frame_shape=(96, 96), pixel_size_m=8e-4,
    faintest=0.3, single_fraction=0.7, chunk=60, seed=3,
)  # fmt: skip
run = simulate_hits(SimulationPlan(frames=600, run=beam), Path("run.cxi")).path

# %% [markdown]
# **Hits.** `friedel classify run.cxi -o hits` on the command line. A report, scores of every frame, and the selected frames for other programs.

# %%
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.simulation.layout import read_truth

hits = run_classification(ClassifyPlan(frames=FrameFiles(paths=(run,))), Path("hits"))
single, chosen = read_truth(run, "single").astype(bool), hits.run.selected
print(hits.run.scores)
print(f"{chosen.sum()} selected, {(chosen & single).sum()} of them single; {single.sum()} single in all")

# %%
import matplotlib.pyplot as plt
import numpy as np

import friedel

frames = friedel.open_frames(run)
figure, axes = plt.subplots(2, 5, figsize=(9, 4), layout="constrained")
for row, (which, name) in enumerate(((chosen, "selected"), (~chosen, "not"))):
    for column, number in enumerate(np.flatnonzero(which)[:5]):
        axes[row, column].imshow(np.log10(1 + frames[number]), cmap="magma")
        axes[row, column].set_title(f"{name}: single {hits.run.scores.single[number]:.2f}", fontsize=8)
        axes[row, column].set_axis_off()
figure

# %% [markdown]
# **Sizes** of the selected, each with its error, from the fringes. An octahedron of 60 nm from tip to tip has the volume of a sphere of 41.0 nm. Facets
# make the size depend on how the particle lay in the beam, so the distribution is wider than the particles' own spread of 1 %; what isn't one particle
# lies to either side, and `select.size` or `select.mode=main` leaves it out.

# %%
size, error = hits.run.scores.diameter[chosen], hits.run.scores.diameter_error[chosen]
known = np.isfinite(size)
print(
    f"median {np.median(size[known]):.1f} {hits.run.scores.length_unit}, "
    f"median error {np.median(error[known]):.2f}, {known.sum()} of {chosen.sum()} have a size"
)
figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
axes.hist(size[known], bins=np.arange(20, 82, 1.0))
axes.set(xlabel=f"diameter ({hits.run.scores.length_unit})", ylabel="selected frames")
figure

# %% [markdown]
# **A particle.** `friedel merge hits/selection.emc --detector hits/selection_detector.h5 -o particle` finds how the particle lay in each hit. Believe the
# half sets: two halves of the frames, oriented independently, compared after one is turned onto the other.

# %%
from friedel.spi.frames.dragonfly import read_detector, read_photons

photons, detector = read_photons(Path("hits/selection.emc")), read_detector(Path("hits/selection_detector.h5"))
merged = friedel.merge(photons, detector)
print(merged.quality.verdict)
print(f"half sets agree to {merged.quality.mean_halves:.2f}; {merged.used.sum()} of {len(merged.used)} frames used")

# %%
middle = merged.intensity.shape[0] // 2
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, panel in enumerate(axes):
    panel.imshow(np.log10(1e-3 + np.take(merged.intensity, middle, axis=axis).clip(0)), cmap="magma")
    panel.set(title=f"merged intensity across {'zyx'[axis]}", xticks=[], yticks=[])
figure

# %% [markdown]
# **Its density** is phased from the merged intensity.

# %%
density = merged.phase()
volume = density.density
inner = slice(volume.shape[0] // 4, -volume.shape[0] // 4)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, panel in enumerate(axes):
    panel.imshow(volume.sum(axis)[inner, inner], cmap="cividis")
    panel.set(title=f"density, summed along {'zyx'[axis]}", xticks=[], yticks=[])
figure

# %% [markdown]
# Four hundred hits of an octahedron, whose views look much alike, give its size, and a verdict that says how far to believe the rest. More frames, a lower
# resolution, or what is known of the symmetry (`--symmetry O`) would be next. [How it works, and what to believe](../howto/merge.md).
