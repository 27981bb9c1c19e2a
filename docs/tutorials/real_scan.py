# %% [markdown]
# # A real scan, from raw frames to a strain profile
#
# Scan 54: a gold crystal on its (111) peak at APS 34-ID-C, 201 detector frames of 256 × 256, 9 keV. The frames, the SPEC file and the two detector
# images are those of [cohere's examples](https://github.com/AdvancedPhotonSource/cohere_examples) (BSD licence); here they lie in a folder `scan54`.
# Where they don't, a simulated scan is written in their place, in the same files; the first line printed says which of the two this page shows.

# %%
from pathlib import Path

import friedel
from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.write import write_aps34idc_scan

folder = Path("scan54")
if folder.exists():
    source = ScanSource(
        beamline="aps34idc", path=folder, spec=folder / "scan52-56.spec", scan=54,
        dark=folder / "dark.tif", flat=folder / "whitefield.tif",
    )  # fmt: skip
else:
    source = write_aps34idc_scan(Path("simulated"), simulate_demo_scan(seed=0, shape=(48, 64, 64), n_photons=1e7).scan)
print("real frames" if folder.exists() else "simulated frames", "from", source.path)

# %% [markdown]
# **Read.** Nothing is read quietly: how many frames were expected and are there, which angles, which mask, what is odd. An observer is any function
# that takes an event; this one prints what each step says.

# %%
from friedel.core.observer import Progress


def tell(event):
    if not isinstance(event, Progress):
        print(f"{event.step}: {event.text}")


scan = friedel.read_scan(source, observer=tell)

# %% [markdown]
# **Look at the raw frames** before anything is done to them: the sum over the scan, and the rocking curve. Bright spots away from the peak are other
# crystals (aliens); a step in the curve would be an attenuator.

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
left.imshow(np.log10(1 + scan.frames.sum(0)), cmap="magma", origin="lower")
left.set(title="log₁₀ of all frames' sum", xlabel="column", ylabel="row")
right.semilogy(scan.motors_deg["th"], scan.frames.sum((1, 2)))
right.set(title="rocking curve", xlabel="θ (°)", ylabel="photons a frame")
figure

# %% [markdown]
# **Prepare.** The peak is found and centred, what isn't measured is masked, the other crystal is cut out, and a box is cut. A box of 64³ is a quick
# look; left out, the full resolution that the scan holds is kept.

# %%
pattern = friedel.prepare(scan, {"shape": (64, 64, 64)}, observer=tell)

# %% [markdown]
# **Phase.** Every choice has its reason among `quality.reasons`. On this real pattern the fit is limited by the model (a coherence length, a detector
# that isn't quite what its mask says), not by photons, and the verdict says that this has to be looked at.

# %%
result = friedel.reconstruct(pattern, seed=0)
print(result)
for reason in result.quality.reasons:
    print("-", reason)

# %% [markdown]
# **Strain.** The object goes from the measurement's skewed voxels to the laboratory; displacement along **h** and its derivative are read there.

# %%
from friedel.bcdi.figures.slices import crystal_slices

crystal = friedel.analyse(result)
print(crystal)
print(crystal.errors)
crystal_slices(crystal)

# %% [markdown]
# **A profile with its error bars**, along x through the crystal's middle. Errors of neighbouring voxels go together
# ([what they mean](../error_bars.md#what-they-mean)).

# %%
z, y, x = (round(float(index.mean())) for index in np.nonzero(crystal.support))
along_nm = 0.1 * crystal.voxel_size_angstrom * (np.arange(crystal.support.shape[2]) - x)
strain, error = 1e3 * crystal.strain[z, y], 1e3 * crystal.errors.strain[z, y]  # NaN outside the crystal

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.errorbar(along_nm, strain, error, fmt="o-", capsize=2)
axes.axhline(0, color="0.7", zorder=0)
axes.set(xlabel="x (nm)", ylabel="strain ∂u/∂n (10⁻³)")
figure

# %% [markdown]
# `d = 2.335 Å` on this scan, where gold has 2.355 Å: the angles recorded there aren't calibrated to better than a percent, so an *absolute* strain
# can't be quoted; the strain *within* the crystal can. The same from the command line is one line,
# `friedel reconstruct plans/aps34idc_scan54.yaml -o result`, and [the page of results](../howto/open.md) draws a profile along any line.
