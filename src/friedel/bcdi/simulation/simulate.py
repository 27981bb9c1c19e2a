"""A store of simulated crystals: a plan in, one HDF5 file with densities and displacement fields out.

Crystals are made anywhere and written here, by one writer. A crystal depends on the seed and its number alone, so
neither the number of workers, nor an interruption, nor the order in which they finish changes the store.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from friedel._version import __version__
from friedel.bcdi.crystals.fcc import METALS
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.lammps import RelaxationError, potential_file
from friedel.bcdi.crystals.simulated import atomistic_crystal, continuum_crystal
from friedel.bcdi.figures.curves import distribution_figure
from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.simulation.store import (
    FAILED,
    PROCESS,
    CrystalStore,
    StoreDescription,
    StoreWriter,
    read_crystals,
)
from friedel.core.errors import InputError, PlanError
from friedel.core.files.reserved import fingerprint_of
from friedel.core.machine.cluster import dask_client, in_any_order
from friedel.core.observer import Note, Observer, Progress, Warned, silent

TASK = "simulating crystals"


@dataclass(frozen=True)
class Failure:
    """A crystal that could not be made, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class SimulatedCrystals:
    """What a run leaves behind.

    Attributes
    ----------
    store : CrystalStore
        The crystals.
    figure : Path
        Distribution of strain and of phase range, PNG.
    """

    store: CrystalStore
    figure: Path


def simulate_crystals(
    plan: CrystalPlan, output: str | Path | None = None, *, fresh: bool = False, observer: Observer = silent
) -> SimulatedCrystals:
    """Simulate a store of crystals, or go on with one that was interrupted.

    A crystal that can't be made (LAMMPS dies, no atoms are left) is counted and reported, and the run goes on.

    Parameters
    ----------
    plan : CrystalPlan
        What to simulate.
    output : str or Path, optional
        The store; None takes the plan's.
    fresh : bool
        Make everything again, whatever lies there.
    observer : Observer
        Hears the progress.

    Raises
    ------
    PlanError
        If no file is named.
    MissingDependencyError
        Without LAMMPS or Dask, where the plan needs them.
    InputError
        If a potential is missing, not one crystal can be made, the store can't be written, or another lies there.
    """
    place = output or plan.output
    if place is None:
        raise PlanError("no file for the crystals: give -o FILE, or 'output' in the plan")
    path, description = Path(place), _description(plan)
    if not fresh and path.exists():
        _check_finished(path, description)
        observer(Note("simulate", f"{path} holds these very crystals already; nothing to do"))
        return _summary(path)
    if plan.generator == "lammps":
        for metal in plan.crystal.metals:
            potential_file(METALS[metal])
    with StoreWriter(path, description, fresh=fresh) as writer:
        _make_pending(writer, plan, observer)
        path = _finished(writer, plan)
    made = _summary(path)
    observer(Note("simulate", _words(made.store), {"crystals": len(made.store), "failed": made.store.n_failed}))
    return made


def make_crystal(number: int, plan: CrystalPlan) -> CrystalField | Failure:
    """Return one crystal of a run, or why it can't be made; the plan's seed and the number decide all of it.

    Raises
    ------
    MissingDependencyError
        Without LAMMPS where the plan needs it: no crystal could be made then.
    """
    make = atomistic_crystal if plan.generator == "lammps" else continuum_crystal
    try:
        return make(plan.crystal, number)
    except (RelaxationError, InputError) as error:
        return Failure(str(error))


def _make_pending(writer: StoreWriter, plan: CrystalPlan, observer: Observer) -> None:
    done = plan.crystals - len(writer.pending)
    if done:
        observer(Note("simulate", f"going on after {done} of {plan.crystals} crystals made before"))
    observer(Progress(TASK, done, plan.crystals))
    for number, made in _crystals(writer.pending, plan, observer):
        if isinstance(made, Failure):
            writer.fail(number, made.reason)
            observer(Warned("simulate", f"crystal {number} is left out: {made.reason}"))
        else:
            writer.write(number, made)
        done += 1
        observer(Progress(TASK, done, plan.crystals, {"failed": float(writer.n_failed)}))


def _crystals(
    pending: list[int], plan: CrystalPlan, observer: Observer
) -> Iterator[tuple[int, CrystalField | Failure]]:
    if plan.cluster is None:
        yield from ((number, make_crystal(number, plan)) for number in pending)
        return
    with dask_client(plan.cluster) as client:
        yield from in_any_order(client, make_crystal, pending, [plan], observer=observer)


def _finished(writer: StoreWriter, plan: CrystalPlan) -> Path:
    if (writer.status == FAILED).all():
        raise InputError(
            f"not one of {plan.crystals} crystals could be made (the warnings say why); change the plan under "
            "'crystal', or check LAMMPS, and begin with --fresh"
        )
    return writer.finish()


def _description(plan: CrystalPlan) -> StoreDescription:
    settings = {
        "crystals": plan.crystals,
        "generator": plan.generator,
        # A time limit decides whether there is a crystal, not what it is.
        "crystal": plan.crystal.model_dump(mode="json", exclude={"timeout_s"}),
        "version": __version__,
    }
    return StoreDescription(
        n_crystals=plan.crystals,
        voxels=plan.crystal.voxels,
        plan=plan.model_copy(update={"cluster": None, "output": None}).text(),
        fingerprint=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        version=__version__,
    )


def _check_finished(path: Path, description: StoreDescription) -> None:
    if fingerprint_of(path, PROCESS) != description.fingerprint:
        raise InputError(
            f"{path}: lies there already and isn't this store (another plan, seed or version); "
            "choose another name, or make it anew with --fresh"
        )


def _summary(path: Path) -> SimulatedCrystals:
    store = read_crystals(path)
    figure = path.with_name(f"{path.stem}-distribution.png")
    if not figure.exists() or figure.stat().st_mtime < path.stat().st_mtime:
        drawn = distribution_figure(store.all_of("strain_rms"), store.all_of("phase_range"))
        drawn.savefig(figure, dpi=150)
    return SimulatedCrystals(store=store, figure=figure)


def _words(store: CrystalStore) -> str:
    failed = f", {store.n_failed} could not be made" if store.n_failed else ""
    return f"{len(store)} crystals in {store.path}{failed}"
