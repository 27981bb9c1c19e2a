"""The store of simulated crystals: one HDF5 file, filled in any order, safe against a kill, read crystal by crystal.

All room is reserved beforehand, so a crystal's bytes lie where its number says and none can be there twice. A crystal
is marked only when its bytes are on the disk; the file takes its final name when every crystal is done or has failed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals.field import CrystalField
from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.files.reserved import PartsFile, PartsWriter, reserve

PROCESS = "process"
"""Group that tells how the store was made."""
STATUS = f"{PROCESS}/status"
TO_DO, DONE, FAILED = 0, 1, 2
HISTORY_BYTES = 1000
"""Room for a crystal's history; the longest that the shipped plans make has 280 bytes."""
_NAME_LENGTH = 40  # letters kept of the name of an entry that was left out

SCALARS: Mapping[str, tuple[Any, tuple[int, ...], str]] = {
    "metal": ("S2", (), "chemical symbol"),
    "lattice": (np.float64, (3, 3), "rows are the edges of the best-fitting lattice's cubic cell, angstrom"),
    "n_atoms": (np.int64, (), "atoms that diffract"),
    "strain_rms": (np.float32, (), "root mean square strain inside, over the four {111} reflections"),
    "phase_range": (np.float32, (), "range of h.u in 98 % of the inside, largest of the {111} reflections, radians"),
    "history": (f"S{HISTORY_BYTES}", (), "how it was made, or why it failed; JSON"),
}
"""What is kept of every crystal beside its volumes, under ``crystals``: type, shape of one entry, meaning."""


@dataclass(frozen=True, kw_only=True)
class StoreDescription:
    """What a store says before it holds a crystal.

    Attributes
    ----------
    n_crystals, voxels : int
        Crystals in all, and the edge of each one's box.
    plan : str
        The complete plan, YAML; its seed and a crystal's number make the crystal again.
    fingerprint : str
        Equal for two stores that must hold the same crystals.
    version : str
        Of this package.
    """

    n_crystals: int
    voxels: int
    plan: str
    fingerprint: str
    version: str


class StoreWriter(PartsWriter):
    """An unfinished store, open; leaving its block closes it and keeps what is done.

    Parameters
    ----------
    path : Path
        Name of the finished store; the unfinished one lies hidden beside it.
    store : StoreDescription
        What is written.
    fresh : bool
        Forget an unfinished store.

    Raises
    ------
    InputError
        If the folder is missing, the disk has no room, the unfinished store there is another one, or is being written.
    """

    def __init__(self, path: Path, store: StoreDescription, *, fresh: bool = False) -> None:
        parts = PartsFile(
            what=("store", "crystals"),
            names=("crystals/density", "crystals/displacement", *(f"crystals/{name}" for name in SCALARS)),
            marks=STATUS,
            n_parts=store.n_crystals,
            process=PROCESS,
            fingerprint=store.fingerprint,
        )
        super().__init__(path, parts, partial(_fill, store=store), fresh=fresh)

    @property
    def n_failed(self) -> int:
        """How many crystals could not be made."""
        return int(np.sum(self.status == FAILED))

    def write(self, number: int, crystal: CrystalField) -> None:
        """Write a crystal and mark it as done.

        Raises
        ------
        InputError
            If the bytes can't be written; the crystal then stays to be done.
        """
        values = {
            "density": crystal.density,
            "displacement": crystal.displacement,
            "metal": np.bytes_(crystal.metal),
            "lattice": crystal.lattice,
            "n_atoms": crystal.n_atoms,
            "strain_rms": crystal.strain_rms(),
            "phase_range": crystal.phase_range_rad(),
            "history": _json(crystal.history),
        }
        self._mark(number, values, DONE)

    def fail(self, number: int, reason: str) -> None:
        """Mark a crystal as one that could not be made; its errors are those of `write`."""
        self._mark(number, {"history": _json({"failed": reason[: HISTORY_BYTES // 7]})}, FAILED)

    def _mark(self, number: int, values: Mapping[str, Any], status: int) -> None:
        entries = {f"crystals/{name}": (number, np.asarray(value)[None]) for name, value in values.items()}
        self.put_part(number, entries, mark=status)


def _fill(file: h5py.File, store: StoreDescription) -> None:
    n, box = store.n_crystals, (store.voxels,) * 3
    density = reserve(file, "crystals/density", (n, *box), np.float16)
    density.attrs.update({"axes": "crystal:z:y:x", "long_name": "atoms relative to the ideal lattice"})
    u = reserve(file, "crystals/displacement", (n, 3, *box), np.float32)
    u.attrs.update({"axes": "crystal:component(x,y,z):z:y:x", "units": "angstrom"})
    u.attrs["long_name"] = "u from the best-fitting lattice, up to lattice translations; density*exp(-i h.u) diffracts"
    for name, (dtype, shape, meaning) in SCALARS.items():
        reserve(file, f"crystals/{name}", (n, *shape), dtype).attrs["long_name"] = meaning
    status = file.create_dataset(STATUS, data=np.zeros(n, np.uint8))
    status.attrs["long_name"] = "0 to do, 1 done, 2 failed"
    process = file[PROCESS]
    process["program"], process["version"], process["plan"] = "friedel", store.version, store.plan
    process["command"] = "friedel simulate crystals --plan <plan>"
    process.attrs["fingerprint"] = store.fingerprint


def _json(values: Mapping[str, Any]) -> np.bytes_:
    """Return the entries as JSON that fits its room: what doesn't is left out whole, and named under "left_out"."""
    kept, left_out = dict(values), list[str]()
    while len(text := json.dumps(kept | ({"left_out": left_out} if left_out else {}), sort_keys=True).encode()) > (
        HISTORY_BYTES
    ):
        longest = max(kept, key=lambda name: len(json.dumps(kept[name])))
        left_out.append(longest[:_NAME_LENGTH])
        del kept[longest]
    return np.bytes_(text)


@dataclass(frozen=True, eq=False)
class CrystalStore:
    """A finished store; made by `read_crystals`. Nothing is held open, so workers may share it.

    Attributes
    ----------
    path : Path
        The file.
    numbers : (n,) int64
        Numbers, in the run, of the crystals that could be made; index ``i`` of the store is crystal ``numbers[i]``.
    n_failed : int
        How many could not.
    plan : str
        The plan that made it, YAML.
    """

    path: Path
    numbers: NDArray[np.int64]
    n_failed: int
    plan: str = field(repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> CrystalField:
        """Read one crystal.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        number = int(self.numbers[index])
        with readable(self.path), h5py.File(self.path, "r") as file:
            kept = {name: file[f"crystals/{name}"][number] for name in SCALARS}
            return CrystalField(
                metal=kept["metal"].decode(),
                density=np.asarray(file["crystals/density"][number], dtype=np.float32),
                displacement=file["crystals/displacement"][number],
                lattice=kept["lattice"],
                n_atoms=int(kept["n_atoms"]),
                history={**json.loads(kept["history"]), "number": number},
            )

    def all_of(self, name: str) -> NDArray[Any]:
        """Read one figure of all crystals, ``(n, ...)``.

        Raises
        ------
        InputError
            If the store keeps nothing of that name, or is damaged.
        """
        if name not in SCALARS:
            raise InputError(f"a crystal store doesn't know {name!r}; it knows {', '.join(SCALARS)}")
        with readable(self.path), h5py.File(self.path, "r") as file:
            values = file[f"crystals/{name}"][()][self.numbers]
        return np.asarray(values.astype(np.str_) if values.dtype.kind == "S" else values)


def read_crystals(path: str | Path) -> CrystalStore:
    """Open a finished store of crystals.

    Raises
    ------
    InputError
        If the file is missing or damaged, isn't a store, or holds no crystal.
    """
    path = Path(path)
    require_file(path)
    with readable(path), h5py.File(path, "r") as file:
        if STATUS not in file:
            raise InputError(f"{path}: not a store of crystals; make one with 'friedel simulate crystals'")
        status, plan = file[STATUS][()], file["process/plan"][()].decode()
    numbers = np.flatnonzero(status == DONE).astype(np.int64)
    if not numbers.size:
        raise InputError(f"{path}: holds no crystal; finish it with 'friedel simulate crystals'")
    return CrystalStore(path, numbers, int(np.sum(status == FAILED)), plan)
