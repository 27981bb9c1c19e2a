# %% [markdown]
# # A dislocation
#
# Around a dislocation the displacement grows by a Burgers vector **b** a turn; the phase −**h·u** therefore turns by 2π for each lattice plane in **h·b**/2π.
# No unwrapped phase exists. The strain is found all the same, because it is read from the complex object.
#
# A simulated gold crystal of 360 nm with a screw dislocation along **h** near its middle, measured at the (111) peak.

# %%
import numpy as np

from friedel.bcdi.crystals.displacement import screw_dislocation
from friedel.bcdi.crystals.lattice import LatticeCrystal, gold_crystal
from friedel.bcdi.forward.scan import PERFECT, gold_111_geometry, simulate_scan

geometry = gold_111_geometry((48, 48, 48))
h = geometry.grid.q_bragg
outline = gold_crystal(h, seed=4, diameter_angstrom=3600, phase_range_rad=1.0).outline
line = h / np.linalg.norm(h)  # a screw dislocation displaces along its line: along h it shows fully
burgers = 2 * np.pi / np.linalg.norm(h)  # one plane of (111)
dislocation = screw_dislocation(np.array([180.0, -120.0, 90.0]), line, burgers=burgers)
simulated = simulate_scan(
    LatticeCrystal(outline=outline, displacement=dislocation), geometry, n_photons=3e7, seed=4, imperfections=PERFECT
)

# %% [markdown]
# The pattern has a hole where a peak should be: the two sides of the line are out of phase by π.

# %%
import matplotlib.pyplot as plt

import friedel

pattern = friedel.prepare(simulated.scan)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
middle = np.array(pattern.intensities.shape) // 2
for axis, panel in enumerate(axes):
    panel.imshow(np.log10(1 + np.nan_to_num(np.take(pattern.intensities, middle[axis], axis))), cmap="magma")
    panel.set(title=f"through the peak, across {('rocking', 'rows', 'columns')[axis]}", xticks=[], yticks=[])
figure

# %%
result = friedel.reconstruct(pattern, plan={"start": "random", "starts": 3}, seed=2)
print(result)
for reason in result.quality.reasons:
    print("-", reason)

# %% [markdown]
# **Where does the phase turn?** `crystal.turns` marks the voxels around whose edges the phase adds up to ±2π instead of zero: the core. Displacement has
# a cut there, from +b/2 to −b/2, whose place means nothing; strain and spacing have none, and the voxels at the core are left unknown.

# %%
crystal = friedel.analyse(result)
print(f"{int(crystal.turns.sum())} voxels at which the phase turns, {int(crystal.support.sum())} in the crystal")
for note in crystal.notes:
    if "turn" in note or "dislocation" in note:
        print(note)

figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), layout="constrained")
shown = {
    "phase (rad)": (crystal.phase, "twilight"),
    "displacement (Å)": (crystal.displacement_angstrom, "RdBu_r"),
    "strain (10⁻³)": (1e3 * crystal.strain, "RdBu_r"),
}
z = crystal.support.shape[0] // 2
for panel, (name, (values, colours)) in zip(axes, shown.items(), strict=True):
    cut = np.where(crystal.support, values, np.nan)[z]
    reach = np.nanpercentile(abs(cut), 98)
    drawn = panel.imshow(cut, cmap=colours, vmin=-reach, vmax=reach, origin="lower")
    panel.contour(crystal.turns[z], [0.5], colors="k", linewidths=0.8)
    panel.set(title=name, xticks=[], yticks=[])
    figure.colorbar(drawn, ax=panel, shrink=0.8)
figure

# %% [markdown]
# **How strong is it?** Add up the phase around the core: 2π a lattice plane. The sum is a whole number whatever the path, so noise can't change it.

# %%
core = np.argwhere(crystal.turns[z])
row, column = core.mean(axis=0)
angle = np.linspace(0, 2 * np.pi, 49)
for radius in (2.5, 3.5, 4.5):
    ring = crystal.object[
        z, np.rint(row + radius * np.sin(angle)).astype(int), np.rint(column + radius * np.cos(angle)).astype(int)
    ]
    turned = np.angle(ring[1:] * ring[:-1].conj()).sum()
    print(f"around the core at {radius} voxels: {turned / (2 * np.pi):+.3f} × 2π")

# %% [markdown]
# One turn: a Burgers vector with **h·b** = 2π, one (111) plane, and its sign is the handedness for the twin shown. A network that was trained without
# dislocations is no help here, which is why this page asked for random starts; the defaults fall back to them by themselves where predictions don't fit.
