# %% [markdown]
# # Classify a run
#
# Frames of single particles in, scores and selected frames out. Here the run is simulated, so that the truth is known;
# with a file of your own, begin at the second step.

# %%
from pathlib import Path

import friedel
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.simulation.layout import read_truth
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

beam = ParticleRunOptions(particles=("icosahedron", "torus"), single_fraction=0.4, chunk=16, seed=2)
run = simulate_hits(SimulationPlan(frames=64, run=beam), Path("run.cxi")).path

# %% [markdown]
# The whole job leaves a folder: a report to look at, scores, and the selected frames for other programs.

# %%
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles

result = run_classification(ClassifyPlan(frames=FrameFiles(paths=(run,))), Path("hits"))
single = read_truth(run, "single").astype(bool)
chosen = result.run.selected
print(f"{chosen.sum()} of {len(chosen)} frames selected, {(single & chosen).sum()} of them single")

# %% [markdown]
# The scores of frames that are in memory already:

# %%
import numpy as np

frames = np.random.default_rng(0).poisson(0.1, (4, 128, 128))  # no particle at all
scores = friedel.classify(frames)
print("probability of a single particle:", scores.single.round(3), "good:", scores.good)
