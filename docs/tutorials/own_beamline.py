# %% [markdown]
# # A beamline of your own
#
# A scan in an HDF5 file with motor names that nobody else uses, and no Python to write for it. The file is simulated, so that it is known what must
# come out: a gold crystal on its (111) peak, d = 2.355 Å.

# %%
from pathlib import Path

import h5py

from friedel.bcdi.forward.scan import simulate_demo_scan

simulated = simulate_demo_scan(seed=0, shape=(48, 48, 48), n_photons=1e7).scan
with h5py.File("sample_0001.h5", "w") as file:
    entry = file.create_group("scan_12")
    entry["detector/frames"] = simulated.frames
    for ours, theirs in {"th": "theta", "chi": "chi", "phi": "phi", "del": "two_theta", "gam": "lift"}.items():
        entry[f"motors/{theirs}"] = simulated.motors_deg[ours]
    entry["motors/detector_distance"] = 1e3 * simulated.detector.distance_m
    entry["mono/energy"] = 1e-3 * simulated.beam.photon_energy_ev

# %% [markdown]
# **What is in your file?** Frames `(n, rows, columns)`, and motors with one value or one value a frame.


# %%
def show(name, item):
    if isinstance(item, h5py.Dataset):
        print(name, item.shape)


with h5py.File("sample_0001.h5") as file:
    file["scan_12"].visititems(show)

# %% [markdown]
# **Describe it.** Circles from the outermost to the innermost, each with the laboratory axis it turns about when all others are at zero; z is along the
# beam, y up, x = y × z. This first try forgets that the detector's outer circle is called `two_theta` here.

# %%
description = """
name: mine
sample_circles:
  - {motor: theta, axis: y+}
  - {motor: chi, axis: z-}
  - {motor: phi, axis: y+}
detector_circles:
  - {motor: delta, axis: y+}
  - {motor: lift, axis: x-}
energy: {motor: energy, unit: keV}
detector:
  pixel_size_m: [55.0e-6, 55.0e-6]
  distance: {motor: detector_distance, unit: mm}
  y_axis: y-          # rows count downwards
  x_axis: x+
layout:
  kind: hdf5
  entry: "scan_{scan}"
  frames: [detector/frames]
  positioners: [motors, mono]
"""
Path("mine.yaml").write_text(description)

# %%
import friedel
from friedel.core.errors import InputError

try:
    friedel.read_scan("sample_0001.h5", beamline="mine.yaml", scan=12)
except InputError as error:
    print(error)

# %% [markdown]
# The error names what the file records. One more name, and it is read:

# %%
Path("mine.yaml").write_text(description.replace("{motor: delta,", "{motor: delta, names: [two_theta],"))
scan = friedel.read_scan("sample_0001.h5", beamline="mine.yaml", scan=12)
print(scan)

# %% [markdown]
# **Check the geometry.** The picture shows where the beam, the circles' axes, the detector's rows and columns and **q** point
# (`friedel validate plan.yaml --draw geometry.png` draws the same).

# %%
import numpy as np

from friedel.bcdi.figures.geometry import draw_geometry

middle = {name: float(np.mean(angle)) for name, angle in scan.motors_deg.items()}
draw_geometry(diffractometer=scan.diffractometer, detector=scan.detector, motors_deg=middle, title="mine")

# %% [markdown]
# **Check the spacing.** A wrong axis changes it.

# %%
pattern = friedel.prepare(scan)
print(f"d = {pattern.grid.d_spacing_angstrom:.3f} Å; gold (111) has 2.355 Å")

for wrong in ("axis: z+", "axis: x+"):
    Path("wrong.yaml").write_text(Path("mine.yaml").read_text().replace("lift, axis: x-", f"lift, {wrong}"))
    other = friedel.prepare(friedel.read_scan("sample_0001.h5", beamline="wrong.yaml", scan=12))
    print(f"lift about {wrong[6:]}: d = {other.grid.d_spacing_angstrom:.3f} Å")

# %% [markdown]
# The second one shows what the spacing can't tell: a wrong sign may only mirror the geometry. That shows in the picture above, and in the crystal's
# shape: compare it with a facet that you know. Then
# [reconstruct](../howto/reconstruct.md): the plan is `scan: {beamline: mine.yaml, path: sample_0001.h5, scan: 12}`.
