"""The layout of a simulated run's file: CXI (HDF5) with frames, labels and truth, all its room reserved beforehand.

`writer` fills it. Every dataset that grows with the run lies in one stretch of the file and is there from the
start, so that writing frames changes bytes of data and nothing of HDF5's own structure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import CXI_VERSION, INVALID
from friedel.core.files.reserved import reserve
from friedel.core.units import CHARGE_C

DATA = "entry_1/data_1/data"
MASK = "entry_1/data_1/mask"
SAMPLE = "entry_1/sample_1"
PROCESS = "entry_1/process_1"
DONE = f"{PROCESS}/chunks_done"

TRUTH: Mapping[str, tuple[Any, tuple[int, ...], str]] = {
    "single": (np.uint8, (), "1 where one particle alone made the frame"),
    "kind": ("S16", (), "what the frame shows"),
    "shape": ("S64", (), "the run's particles in this frame's chunk"),
    "bodies": (np.int32, (), "how many bodies scattered"),
    "quaternion": (np.float32, (4,), "orientation of the first body in (x, y, z), scalar last; NaN without one"),
    "diameter": (np.float32, (), "of the first body, m; NaN without one"),
    "photons": (np.float32, (), "expected photons that the bodies scattered onto measured pixels"),
    "seed": (np.uint64, (2,), "seed of the run and number of the chunk, which made the frame"),
}
"""What is kept of every frame, under ``entry_1/sample_1``: type, shape of one entry, meaning."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunDescription:
    """What a run's file says before it holds a frame.

    Attributes
    ----------
    n_frames, chunk : int
        Frames in all, and in each chunk but the last.
    dtype : str
        "uint16" for photons, "float32" for detector units.
    mask : (y, x) bool
        True where the detector measures.
    photon_energy_ev, distance_m, pixel_size_m : float
        Beam and detector.
    centre_yx : (float, float)
        Pixel of the direct beam.
    plan : str
        The complete plan, YAML.
    fingerprint : str
        Equal for two runs that must give the same frames.
    version : str
        Of this package.
    """

    n_frames: int
    chunk: int
    dtype: str
    mask: NDArray[np.bool_]
    photon_energy_ev: float
    distance_m: float
    pixel_size_m: float
    centre_yx: tuple[float, float]
    plan: str
    fingerprint: str
    version: str

    @property
    def n_chunks(self) -> int:
        """Chunks in all."""
        return -(-self.n_frames // self.chunk)

    def span(self, chunk: int) -> tuple[int, int]:
        """Return the first frame of a chunk and the one after its last."""
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.n_frames)


def fill(file: h5py.File, run: RunDescription) -> None:
    """Make every group and dataset of a run's file, its room reserved."""
    file["cxi_version"] = CXI_VERSION
    file["number_of_entries"] = 1
    entry = file.create_group("entry_1")
    entry["title"] = "Simulated single-particle frames"
    data = reserve(file, DATA, (run.n_frames, *run.mask.shape), run.dtype)
    data.attrs["axes"] = "experiment_identifier:y:x"
    data.attrs["long_name"] = "photons" if run.dtype == "uint16" else "detector units (ADU)"
    mask = file.create_dataset(MASK, data=np.where(run.mask, 0, INVALID).astype(np.uint32))
    mask.attrs["long_name"] = "CXI mask bits; 0 is a good pixel"
    for name, (dtype, shape, meaning) in TRUTH.items():
        reserve(file, f"{SAMPLE}/{name}", (run.n_frames, *shape), dtype).attrs["long_name"] = meaning
    entry["sample_1/name"] = "simulated particles"
    _fill_instrument(entry, run)
    _fill_process(file, run)


def _fill_instrument(entry: h5py.Group, run: RunDescription) -> None:
    entry["instrument_1/source_1/energy"] = run.photon_energy_ev * CHARGE_C
    detector = entry.create_group("instrument_1/detector_1")
    detector["distance"] = run.distance_m
    for axis in ("x_pixel_size", "y_pixel_size"):
        detector[axis] = run.pixel_size_m
    y, x = run.centre_yx
    # From the particle to the outer corner of the first pixel; rows run down, so the frame's top is at positive y.
    detector["corner_position"] = np.array(
        [-(x + 0.5) * run.pixel_size_m, (y + 0.5) * run.pixel_size_m, run.distance_m]
    )
    detector["beam_center_yx"] = np.array(run.centre_yx)
    detector["beam_center_yx"].attrs["units"] = "pixel"
    for name in ("data", "mask"):
        detector[name] = h5py.SoftLink(f"/entry_1/data_1/{name}")


def _fill_process(file: h5py.File, run: RunDescription) -> None:
    done = file.create_dataset(DONE, data=np.zeros(run.n_chunks, np.uint8))
    done.attrs["frames_per_chunk"] = run.chunk
    process = file[PROCESS]
    process["program"], process["version"] = "friedel", run.version
    process["command"] = "friedel simulate hits --plan <note_1>"
    process["note_1/type"], process["note_1/data"] = "text/yaml", run.plan
    process.attrs["fingerprint"] = run.fingerprint


def read_truth(path: Path, name: str) -> NDArray[Any]:
    """Read what a simulated run's file knows of every frame.

    Parameters
    ----------
    path : Path
        A finished run.
    name : str
        One of `TRUTH`.

    Returns
    -------
    (n, ...) array
        An entry a frame; names come as str.

    Raises
    ------
    InputError
        If the file can't be read, holds no truth, or knows nothing of that name.
    """
    if name not in TRUTH:
        raise InputError(f"a simulated run doesn't know {name!r} of its frames; it knows {', '.join(TRUTH)}")
    try:
        with h5py.File(path, "r") as file:
            values = file[f"{SAMPLE}/{name}"][()]
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not a run that friedel simulated ({error})") from None
    return np.asarray(values.astype(np.str_) if values.dtype.kind == "S" else values)
