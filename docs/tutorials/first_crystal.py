# %% [markdown]
# # From a pattern to strain
#
# Ten minutes: a simulated gold crystal, so that there is a truth to compare with. With your own scan, the first cell is
# `scan = friedel.read_scan(...)`, see [Reconstruct your scan](../howto/reconstruct.md).
#
# A rocking scan at a 34-ID-C-like instrument: the crystal, 220 nm across, is pulled by its substrate.

# %%
from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import PERFECT, gold_111_geometry, simulate_scan

geometry = gold_111_geometry((48, 48, 48))
truth = gold_crystal(geometry.grid.q_bragg, seed=4, diameter_angstrom=2200, phase_range_rad=2.5)
simulated = simulate_scan(truth, geometry, n_photons=2e7, seed=4, imperfections=PERFECT)
print(simulated.scan.frames.shape, "frames,", int(simulated.scan.frames.sum()), "photons")

# %% [markdown]
# Preparing finds the peak, masks what isn't measured and cuts a box. Each step says what it did.

# %%
from friedel.bcdi.prepare.prepare import prepare
from friedel.core.observer import Progress


def tell(event):
    if not isinstance(event, Progress):
        print(event.step, "–", event.text)


pattern = prepare(simulated.scan, observer=tell)

# %% [markdown]
# Three random starts are enough here; without `plan`, a network's predictions come first. The quality figures say whether they agree.

# %%
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.reconstruct import reconstruct_diffraction

result = reconstruct_diffraction(pattern, PhasingOptions.read({"start": "random", "starts": 3}), seed=1)
print(
    f"χ = {result.quality.chi:.3f}, {result.quality.n_agreeing} of {result.quality.n_starts} starts agree, trusted: {result.quality.trusted}"
)

# %% [markdown]
# The object lies on the measurement's skewed voxels. The analysis brings it to the laboratory and reads the strain.

# %%
from friedel.bcdi.figures.slices import crystal_slices
from friedel.bcdi.strain.analysis import analyse

crystal = analyse(result)
crystal_slices(crystal)

# %% [markdown]
# Against the truth: the strain's spread in the crystal, and in the result.

# %%
import numpy as np

axis = np.linspace(-0.5, 0.5, 30)
points = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) * truth.outline.extent
inside = points[truth.outline.depth(points) > 0]
print(
    f"true {1e3 * truth.strain(inside, geometry.grid.q_bragg).std():.3f}, found {1e3 * np.nanstd(crystal.strain):.3f} (10⁻³)"
)

# %% [markdown]
# Next: [look at it](../howto/open.md), or, where a crystal is 20 voxels across or more, [find its facets](../howto/facets.md).
