"""European XFEL runs whose every pixel says train, pulse and module, written as EXtra-data's own examples are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from extra_data.tests.mockdata import write_file
from extra_data.tests.mockdata.detectors import AGIPDModule

FIRST, TRAINS, PULSES = 10000, 3, 3


def value(train: int, pulse: int, module: int) -> float:
    """Return what every pixel of a module holds in one frame."""
    return 100.0 * train + pulse + module / 32


def write_agipd(
    folder: Path,
    *,
    modules: Sequence[int] = range(16),
    trains: Mapping[int, int] | None = None,
    pulses: Mapping[int, int] | None = None,
    device: str = "SPB_DET_AGIPD1M-1/DET/{}CH0",
    channel: str = "xtdf",
    raw: bool = False,
) -> Path:
    """Write a run, calibrated or raw.

    Parameters
    ----------
    folder : Path
        It must be empty.
    modules : sequence of int
        Those that have a file.
    trains, pulses : mapping of int to int
        Trains that a module recorded, and frames in each of them, where not all and `PULSES`.
    device, channel : str
        Its name, with ``{}`` for the module's number.
    raw : bool
        Whether each image, in whole numbers, has one of the gain beside it.
    """
    folder.mkdir(exist_ok=True)
    kind = "RAW" if raw else "CORR"
    for number in modules:
        n_trains = (trains or {}).get(number, TRAINS)
        n_pulses = (pulses or {}).get(number, PULSES)
        name = device.format(number)
        path = folder / f"{kind}-R0034-AGIPD{number:02d}-S00000.h5"
        module = AGIPDModule(name, frames_per_train=n_pulses, raw=raw, channel_name=channel)
        write_file(str(path), [module], n_trains, firsttrain=FIRST, format_version="1.2")
        with h5py.File(path, "r+") as file:
            image = file[f"INSTRUMENT/{name}:{channel}/image"]
            held = [value(train, pulse, number) for train in range(n_trains) for pulse in range(n_pulses)]
            if raw:
                image["data"][:, 0], image["data"][:, 1] = number, 5000
                continue
            image["data"][:] = np.broadcast_to(np.array(held)[:, None, None], image["data"].shape)
            image["mask"][:] = 0
    return folder
