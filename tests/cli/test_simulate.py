"""`friedel simulate hits`: what it prints, what it leaves, and how it fails."""

from pathlib import Path

import h5py
import pytest
from typer.testing import CliRunner

from friedel.cli.main import app

PLAN = "frames: 6\nrun: {frame_shape: [64, 64], chunk: 4, particles: [cube]}\n"


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(app, ["simulate", "hits", *map(str, arguments)])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def test_a_run_is_made_from_a_plan_and_the_line(run, plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "hits.cxi"
    done = run("--plan", plan, "-o", output, "--frames", 9, "--seed", 2)
    assert done.exit_code == 0
    assert str(output) in done.stdout
    with h5py.File(output) as file:
        assert file["entry_1/data_1/data"].shape == (9, 64, 64)
        assert set(file["entry_1/sample_1/seed"][:, 0]) == {2}
    again = run("--plan", plan, "-o", output, "--frames", 9, "--seed", 2)
    assert (again.exit_code, "nothing to do" in again.stderr) == (0, True)


def test_mistakes_end_in_one_line_and_code_2(run, plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "hits.cxi"
    assert run("--plan", plan, "-o", output).exit_code == 0
    other = run("--plan", plan, "-o", output, "--seed", 8)
    assert (other.exit_code, "--fresh" in other.stderr) == (2, True)
    assert run("--plan", plan, "-o", output, "--seed", 8, "--fresh").exit_code == 0
    nowhere = run("--plan", plan, "-o", tmp_path / "no" / "hits.cxi")
    assert (nowhere.exit_code, "doesn't exist; create it" in nowhere.stderr) == (2, True)
    unnamed = run("--plan", plan)
    assert (unnamed.exit_code, "give -o FILE" in unnamed.stderr) == (2, True)
    plan.write_text(PLAN.replace("cube", "cubes"))
    unknown = run("--plan", plan, "-o", output)
    assert (unknown.exit_code, "unknown particle(s) cubes" in unknown.stderr) == (2, True)


def test_ctrl_c_keeps_what_is_done(run, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from friedel.spi.simulation import simulate as simulate_hits

    made = simulate_hits.make_chunk

    def stopped(number: int, setup: simulate_hits.Setup):
        if number == 1:
            raise KeyboardInterrupt
        return made(number, setup)

    with monkeypatch.context() as patched:
        patched.setattr(simulate_hits, "make_chunk", stopped)
        assert run("--plan", plan, "-o", tmp_path / "hits.cxi").exit_code == 130
    assert not (tmp_path / "hits.cxi").exists()
    rest = run("--plan", plan, "-o", tmp_path / "hits.cxi")
    assert (rest.exit_code, "going on after 4 of 6 frames" in rest.stderr) == (0, True)
