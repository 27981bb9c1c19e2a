# %% [markdown]
# # Live
#
# A watch takes frames as they come, scores them, keeps the hits, and accounts for every one. The stream here is a file played at 100 frames a second;
# at a beamline it is an address (`karabo://…`, `pva://…`, `simplon://…`), and nothing else changes.

# %%
from pathlib import Path

from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

beam = ParticleRunOptions(
    particles=("icosahedron",), single_fraction=0.3, frame_shape=(128, 128), pixel_size_m=6e-4, seed=1
)
run = simulate_hits(SimulationPlan(frames=400, run=beam), Path("run.cxi")).path.resolve()

# %% [markdown]
# **Watch.** Before a shift, `friedel check-stream URI` says whether there is a stream and what is in it. `friedel watch file://run.cxi?rate=100 -o live --serve` does this with a page in the browser. In Python a watch is a loop over snapshots, a few
# a second; leaving the loop ends the watch and closes its files. (In a script of your own, put it under `if __name__ == "__main__":`, because the scoring
# processes import the script.)

# %%
import friedel

told, snapshot = 0.0, None
for snapshot in friedel.watch(f"file://{run}?rate=100", output="live"):
    if snapshot.ledger.seen and snapshot.taken - told > 1.0:
        told = snapshot.taken
        print(snapshot.ledger.sentence())
print("at the end:", snapshot.ledger.sentence())

# %% [markdown]
# **seen = processed + dropped + late + duplicate + malformed + waiting**: the ledger adds up at any moment, also after a kill. What was kept is an
# ordinary CXI file, readable while it grows; the ledger on disk says the same as the one above.

# %%
import json

import h5py
import numpy as np

with h5py.File("live/hits_001.cxi", "r") as file:
    single = file["entry_1/result_1/single"][:]
    kept = file["entry_1/data_1/data"].shape
print(f"{len(single)} frames scored, {kept[0]} kept, of {kept[1]} × {kept[2]} pixels")
print({name: value for name, value in json.loads(Path("live/ledger.json").read_text()).items() if value})

# %% [markdown]
# What the page shows: the histogram of the scores, and the latest hits.

# %%
import matplotlib.pyplot as plt

figure = plt.figure(figsize=(9, 2.6), layout="constrained")
panels = figure.subplots(1, 5, width_ratios=[2, 1, 1, 1, 1])
panels[0].bar(np.arange(20) / 20, snapshot.view.histogram, width=0.05, align="edge")
panels[0].set(title="frames by their score", xlabel="probability of one particle alone", yscale="log")
for panel, hit in zip(panels[1:], snapshot.view.singles, strict=False):
    panel.imshow(hit.image, cmap="magma")
    panel.set(title=f"frame {hit.number}: {hit.single:.2f}", xticks=[], yticks=[])
figure

# %% [markdown]
# The same folder and the same command go on where a watch stopped: no frame is scored twice. [Sources, overload, several machines](../live.md),
# [the page](../live_page.md), [as a service](../service.md). Crystals: `friedel watch … --crystals` images a rocking scan while it is collected.
