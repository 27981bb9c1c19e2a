# %% [markdown]
# # From raw frames to a clean pattern
#
# What happens before phasing, step by step. A scan is simulated and written as APS 34-ID-C writes it: TIFF frames, a
# SPEC file, dark and whitefield. With a scan of your own, start at "Read".

# %%
from pathlib import Path

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.write import write_aps34idc_scan
from friedel.core.observer import Event, Progress

simulated = simulate_demo_scan(seed=0, shape=(48, 64, 64), n_photons=1e7)
source = write_aps34idc_scan(Path("scan"), simulated.scan)

# %% [markdown]
# ## Read
#
# `source` says where the files are; for your own scan, write `ScanSource(path=…, beamline="aps34idc", scan=…, spec=…)`.
# An observer is any function that takes an event.


# %%
def show(event: Event) -> None:
    if not isinstance(event, Progress):
        print(f"{event.step}: {event.text}")


scan = read_scan(source, observer=show)

# %% [markdown]
# ## Prepare
#
# Every step says what it did. What isn't measured is False in the mask, never a zero.

# %%
diffraction = prepare(scan, PrepareOptions(shape=(48, 48, 48)), observer=show)
print(f"{diffraction.intensities.shape}, {diffraction.n_photons:.3g} photons, {(~diffraction.mask).mean():.1%} unknown")

# %% [markdown]
# The grid says where each voxel lies in reciprocal space, and so how large the object's voxels are.

# %%
assert diffraction.grid is not None
print(f"d = {diffraction.grid.d_spacing_angstrom:.4f} Å; object steps in Å, rows along z, y, x:")
print(diffraction.grid.object_basis((48, 48, 48)).round(1))
