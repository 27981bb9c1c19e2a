"""A simulated run: the same bits from any number of workers and after a kill, the truth that goes with the frames."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError, PlanError
from friedel.core.files.reserved import unfinished_path
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.observer import Progress, Recorder, tee
from friedel.spi.simulation.layout import DATA, read_truth
from friedel.spi.simulation.plan import SampleFile, SimulationPlan
from friedel.spi.simulation.sample_files import read_sample
from friedel.spi.simulation.simulate import simulate_hits

ROOT = Path(__file__).resolve().parents[3]
SMALL = {
    "frames": 22,
    "run": {"frame_shape": [64, 64], "chunk": 4, "seed": 5, "particles": ["sphere", "torus"]},
    "detector": {"name": "pnccd"},
}


@pytest.fixture
def plan() -> SimulationPlan:
    return SimulationPlan.read(SMALL)


def test_a_run_holds_frames_labels_and_where_they_come_from(plan: SimulationPlan, tmp_path: Path) -> None:
    recorder, progress = Recorder(), []
    run = simulate_hits(plan, tmp_path / "run.cxi", observer=tee(recorder, progress.append))
    assert sum(run.kinds.values()) == 22
    single, kind = read_truth(run.path, "single"), read_truth(run.path, "kind")
    np.testing.assert_array_equal(single == 1, kind == "single")
    assert set(read_truth(run.path, "shape")) <= {"sphere", "torus"}
    bodies, quaternion = read_truth(run.path, "bodies"), read_truth(run.path, "quaternion")
    np.testing.assert_allclose(np.linalg.norm(quaternion[bodies > 0], axis=1), 1.0, rtol=1e-5)
    with h5py.File(run.path) as file:
        frames, mask = file[DATA][()], file["entry_1/data_1/mask"][()]
        assert frames.dtype == np.uint16
        assert not frames[:, mask != 0].any()
        assert frames[single == 1].sum(axis=(1, 2)).min() > 100
        again = tmp_path / "plan.yaml"
        again.write_text(file["entry_1/process_1/note_1/data"][()].decode())
    assert SimulationPlan.load(again).run.seed == 5
    assert [event.done for event in progress if isinstance(event, Progress)] == [0, 4, 8, 12, 16, 20, 22]


def test_more_frames_begin_with_the_fewer(plan: SimulationPlan, tmp_path: Path) -> None:
    few = simulate_hits(plan.with_choices(frames=6), tmp_path / "few.cxi").path
    many = simulate_hits(plan, tmp_path / "many.cxi").path
    with h5py.File(few) as first, h5py.File(many) as second:
        np.testing.assert_array_equal(first[DATA][()], second[DATA][:6])
    other = simulate_hits(plan.with_choices(frames=6, seed=6), tmp_path / "other.cxi").path
    assert other.read_bytes() != few.read_bytes()


def test_workers_change_nothing_but_the_time(plan: SimulationPlan, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    alone = simulate_hits(plan, tmp_path / "alone.cxi").path
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp://"
    ) as cluster:
        spread = plan.model_copy(update={"cluster": ClusterOptions(scheduler=cluster.scheduler_address)})
        together = simulate_hits(spread, tmp_path / "together.cxi").path
    assert together.read_bytes() == alone.read_bytes()


def test_a_killed_run_goes_on_to_the_same_file(plan: SimulationPlan, tmp_path: Path) -> None:
    plan = plan.with_choices(frames=200)
    (tmp_path / "plan.yaml").write_text(plan.text())
    path = tmp_path / "killed.cxi"
    code = "import sys; from friedel.cli.main import main; sys.argv[0] = 'friedel'; main()"
    command = [sys.executable, "-c", code, "simulate", "hits", "--plan", "plan.yaml", "-o", path.name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        _wait_for_a_chunk(unfinished_path(path))
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    recorder = Recorder()
    simulate_hits(plan, path, observer=recorder)
    assert any("going on after" in text for _, text in recorder.notes)
    assert path.read_bytes() == simulate_hits(plan, tmp_path / "whole.cxi").path.read_bytes()


def _wait_for_a_chunk(unfinished: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if unfinished.exists():
            with h5py.File(unfinished, "r", locking=False) as file:
                if file["entry_1/process_1/chunks_done"][()].any():
                    return
        time.sleep(0.05)
    pytest.fail("no chunk was done within two minutes")


def test_a_finished_run_is_neither_made_again_nor_overwritten(plan: SimulationPlan, tmp_path: Path) -> None:
    short = plan.with_choices(frames=4)
    path = simulate_hits(short, tmp_path / "run.cxi").path
    before = path.stat().st_mtime_ns
    recorder = Recorder()
    simulate_hits(short, path, observer=recorder)
    assert path.stat().st_mtime_ns == before
    assert "already" in recorder.notes[0][1]
    with pytest.raises(InputError, match="isn't this run"):
        simulate_hits(short.with_choices(seed=9), path)
    assert path.stat().st_mtime_ns == before
    simulate_hits(short.with_choices(seed=9), path, fresh=True)
    assert read_truth(path, "seed")[0, 0] == 9


def test_particles_come_from_files_with_their_own_size(plan: SimulationPlan, tmp_path: Path) -> None:
    z, y, x = np.indices((24, 24, 24)) - 12
    np.save(tmp_path / "ball.npy", (z**2 + y**2 + x**2 <= 64).astype(float) * 7)
    file = SampleFile(path=tmp_path / "ball.npy", voxel_size_angstrom=20.0, n=32)
    sample = read_sample(file, plan.run)
    assert sample.diameter_nm == pytest.approx(34.0, abs=1.5)
    assert sample.particle.density[16, 16, 16] == pytest.approx(1.0, abs=0.1)
    run = simulate_hits(plan.model_copy(update={"samples": (file,), "frames": 8}), tmp_path / "run.cxi")
    assert set(read_truth(run.path, "shape")) == {"ball.npy"}
    own = read_truth(run.path, "diameter")[read_truth(run.path, "single") == 1]
    assert own.mean() == pytest.approx(34e-9, rel=0.15)


def test_a_molecule_keeps_its_electrons(plan: SimulationPlan, shared_data: Path) -> None:
    pytest.importorskip("gemmi")
    sample = read_sample(SampleFile(path=shared_data / "pdb" / "2cex.pdb", n=32), plan.run)
    voxel = sample.diameter_nm / sample.particle.diameter_voxels
    electrons = sample.particle.density.sum() * plan.run.electron_density_per_nm3 * voxel**3
    assert electrons == pytest.approx(16000, rel=0.05)


def test_particles_of_lumps_take_their_turn_with_the_shapes(plan: SimulationPlan, tmp_path: Path) -> None:
    named = plan.run.model_copy(update={"particles": ("capsid", "torus")})
    run = simulate_hits(plan.model_copy(update={"run": named, "frames": 24}), tmp_path / "run.cxi")
    assert set(read_truth(run.path, "shape")) == {"capsid", "torus"}
    assert 0 < read_truth(run.path, "single").mean() < 1


def test_the_shipped_plan_is_valid_and_says_how_to_run_it() -> None:
    path = ROOT / "plans" / "hits_simulation.yaml"
    plan = SimulationPlan.load(path)
    assert plan.frames == 2000
    assert f"plans/{path.name}" in path.read_text(encoding="utf-8")


def test_the_complete_plan_reads_back_as_itself(plan: SimulationPlan, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(plan.text())
    assert SimulationPlan.load(tmp_path / "plan.yaml") == plan


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": 0}, "greater than or equal to 1"),
        ({"frame": 3}, "did you mean 'frames'"),
        ({"run": {"particles": ["cubes"]}}, r"unknown particle\(s\) cubes; choose from: icosahedron"),
        ({"run": {"particles": []}}, "no particle is named"),
        ({"detector": {"name": "eiger"}}, "unknown 'eiger'; choose from: pnccd"),
    ],
)
def test_mistakes_in_a_plan_are_named_before_anything_runs(values: dict, message: str, tmp_path: Path) -> None:
    import yaml

    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(PlanError, match=message):
        SimulationPlan.load(tmp_path / "plan.yaml")


def test_a_run_needs_a_file_and_its_samples(plan: SimulationPlan, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="give -o FILE"):
        simulate_hits(plan)
    with pytest.raises(InputError, match="no such file"):
        lost = (SampleFile(path=tmp_path / "lost.npy"),)
        simulate_hits(plan.model_copy(update={"samples": lost}), tmp_path / "run.cxi")
    assert list(tmp_path.iterdir()) == []
