# %% [markdown]
# # A few labels
#
# The shipped classifier has never seen your experiment. Where its report shows many frames in the reject band, ten to fifty labels fit its last step to
# what you have. Here: a detector that reads units with noise and a common mode, a beamline's halo, and rods and rings, more of them several at once than alone.

# %%
from pathlib import Path

from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

noisy = ReadoutOptions(
    flat_background_photons=0.05, halo_photons=2.0, fluctuation=0.3, read_noise_photons=0.15, common_mode_photons=0.1,
    charge_sharing=0.1, adu_per_photon=110,
)  # fmt: skip
beam = ParticleRunOptions(
    particles=("rod", "torus"), frame_shape=(128, 128), pixel_size_m=6e-4, fluence_photons_per_um2=3e11,
    single_fraction=0.4, readout=noisy, chunk=50, seed=8,
)  # fmt: skip
run = simulate_hits(SimulationPlan(frames=500, run=beam), Path("run.cxi")).path

# %% [markdown]
# **Which frames are worth a label?** `friedel adapt run.cxi --suggest -o look` writes a sheet and a picture: typical frames of each group that the model's
# own features form, frames between groups, and those it doubts.

# %%
import matplotlib.image
import matplotlib.pyplot as plt

from friedel.spi.adapt.suggest import suggest_labels
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.model import load_model

files, model = FrameFiles(paths=(run,)), load_model()
suggested = suggest_labels(files, Path("look"), model, count=40)
picture = matplotlib.image.imread("look/frames.png")
figure = plt.figure(figsize=(7, 7 * picture.shape[0] / picture.shape[1]))
figure.add_axes((0, 0, 1, 1)).imshow(picture)
figure.axes[0].set_axis_off()
figure

# %% [markdown]
# **Label.** You write 1 (one particle alone) or 0 (anything else) into the sheet's column `label`. Here the simulation's truth does it.

# %%
import csv

from friedel.spi.simulation.layout import read_truth

single = read_truth(run, "single").astype(bool)
with open("look/labels.csv", newline="") as file:
    rows = list(csv.DictReader(file))
for row in rows:
    row["label"] = int(single[int(row["frame"])])
with open("look/labels.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
print(len(rows), "labels,", sum(row["label"] for row in rows), "of one particle alone")

# %% [markdown]
# **Adapt.** Only the last, linear step is learnt; the shipped decision is its prior, and cross-validation chooses how far the labels may move it.

# %%
from friedel.core.observer import Progress
from friedel.spi.adapt.adapt import adapt_to_run


def tell(event):
    if not isinstance(event, Progress):
        print(f"{event.step}: {event.text}")


adapted = adapt_to_run(files, Path("look/labels.csv"), Path("model"), model, observer=tell)

# %% [markdown]
# **Was it worth it?** Against the truth of all frames that weren't labelled, which nobody has in an experiment:

# %%
import numpy as np

import friedel

labelled = np.isin(np.arange(len(single)), [int(row["frame"]) for row in rows])
frames = friedel.open_frames(run)
for name in ("default", "model"):
    scores = friedel.classify(frames, model=name)
    said = scores.single[~labelled] > 0.5
    right = single[~labelled]
    print(
        f"{name}: {np.mean(said == right):.1%} right, {scores.reject_band[~labelled].mean():.0%} in the reject band; "
        f"of those called single {right[said].mean():.1%} are, of the single {said[right].mean():.1%} are found"
    )

# %% [markdown]
# The last line of the adaption tells the same from the labels alone, left out one part after the other. Where both numbers there agree, the shipped
# model was right already, and stays. [More](../howto/adapt.md).
