"""Reading a finished store of simulated crystals: one crystal at a time, or one figure of all."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.io.crystal_store import DONE, FAILED, SCALARS, STATUS
from friedel.io.damage import readable, require_file
from friedel.samples.crystal_field import CrystalField


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
