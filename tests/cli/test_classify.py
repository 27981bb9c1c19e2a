"""`friedel classify` at the terminal: what it says, and one clear line for whatever is wrong with the input."""

import json
from collections import defaultdict
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from friedel.cli.classify import show_classification
from friedel.cli.main import app
from friedel.spi.classify import classify as classify_workflow
from friedel.spi.records import HitScores

GOOD = np.random.default_rng(0).poisson(2.0, (30, 16, 16)).astype(np.uint16)


class Half:
    """Calls every second frame of a batch a hit."""

    name = "half 0000"

    def measure(self, frames, mask):
        return None

    def score(self, frames, mask, *, run):
        n = len(frames)
        hits = np.arange(n) % 2 == 0
        single = np.where(hits, 0.9, 0.1).astype(np.float32)
        return HitScores(
            single=single, fringes=single * 10, out_of_distribution=single, reject_band=~hits & False, good=hits,
            status=np.zeros(n, np.uint8), model=self.name,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _half(monkeypatch):
    monkeypatch.setattr(classify_workflow, "_loaded", lambda model, name, device: Half())


def invoke(*arguments):
    return CliRunner().invoke(app, ["classify", *map(str, arguments)])


def write(path, frames=GOOD, name="data"):
    with h5py.File(path, "w") as file:
        file[name] = frames
    return path


def test_it_says_what_it_found_and_where_it_is(tmp_path):
    result = invoke(write(tmp_path / "run.h5"), "-o", tmp_path / "hits")
    assert result.exit_code == 0, result.output
    assert "30 frames, in" in result.stdout
    assert "15 selected, a hit rate of 50.00%" in result.stdout
    assert str(tmp_path / "hits" / "report.html") in result.stdout
    again = invoke(tmp_path / "run.h5", "-o", tmp_path / "hits")
    assert "30 frames, 0 of them scored now" in again.stdout


def test_any_setting_can_be_given_and_wrong_ones_name_the_nearest(tmp_path):
    path = write(tmp_path / "run.h5")
    result = invoke(path, "-o", tmp_path / "hits", "--set", "select.single=0.95", "--set", "selection=none")
    assert "0 selected" in result.stdout
    assert not (tmp_path / "hits" / "selection.cxi").exists()
    wrong = invoke(path, "-o", tmp_path / "two", "--set", "select.singel=0.95")
    assert (wrong.exit_code, "did you mean 'single'?" in wrong.stderr) == (2, True)
    assert invoke(path, "-o", tmp_path / "two", "--set", "fresh").exit_code == 2


def test_a_plan_and_the_command_line_go_together(tmp_path):
    write(tmp_path / "run.h5", name="a/b")
    (tmp_path / "plan.yaml").write_text("frames: {paths: [run.h5], dataset: a/b}\nselection: none\noutput: out\n")
    assert invoke("--plan", tmp_path / "plan.yaml").exit_code == 0
    assert (tmp_path / "out" / "scores.csv").is_file()
    other = write(tmp_path / "other.h5", GOOD[:10], name="a/b")
    result = invoke(other, "--plan", tmp_path / "plan.yaml", "-o", tmp_path / "two")
    assert "10 frames" in result.stdout


def test_the_help_teaches():
    text = invoke("--help").stdout
    for word in ("RUN", "report.html", "--mask", "--set", "emc", "goes on where it was"):
        assert word in text


def _two_datasets(path):
    with h5py.File(path, "w") as file:
        file["front"], file["back"] = GOOD, GOOD


def _cut(path):
    np.save(path, GOOD)
    path.write_bytes(path.read_bytes()[:100])


CASES = {
    "empty.h5": lambda path: path.touch(),
    "none.npy": lambda path: np.save(path, GOOD[:0]),
    "flat.npy": lambda path: np.save(path, GOOD[0]),
    "complex.npy": lambda path: np.save(path, GOOD + 1j),
    "words.npy": lambda path: np.save(path, np.full((2, 3, 3), "a")),
    "two.h5": _two_datasets,
    "cut.npy": _cut,
    "text.cxi": lambda path: path.write_text("not HDF5"),
    "run.xyz": lambda path: path.write_text("which format?"),
    "folder": lambda path: path.mkdir(),
    "gone.h5": lambda path: None,
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gives_one_line_and_leaves_nothing(name, tmp_path):
    CASES[name](tmp_path / name)
    before = {path.name for path in tmp_path.iterdir()}
    result = invoke(tmp_path / name, "-o", tmp_path / "hits")
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert name in errors[0]
    assert result.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "nowhere"], "no dataset 'nowhere'; its 3D datasets: data (30, 16, 16)"),
        (["--mask", "gone.npy"], "gone.npy: no such file"),
        (["--mask", "small.npy"], "the mask is (3, 3), the frames of"),
        (["--plan", "gone.yaml"], "gone.yaml: can't read the plan"),
    ],
)
def test_wrong_options_are_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", np.zeros((3, 3), np.uint8))
    result = invoke(write(tmp_path / "run.h5"), "-o", "hits", *arguments)
    assert (result.exit_code, message in result.stderr.replace("\n", " ")) == (2, True), result.stderr
    assert not (tmp_path / "hits").exists()


def test_a_file_named_twice_is_not_counted_twice(tmp_path):
    path = write(tmp_path / "run.h5")
    assert "named twice" in invoke(path, path, "-o", tmp_path / "hits").stderr


def test_a_missing_model_is_named(tmp_path, monkeypatch):
    monkeypatch.undo()
    result = invoke(write(tmp_path / "run.h5"), "-o", tmp_path / "hits", "--model", "nobody")
    assert result.exit_code == 2
    assert "no model called 'nobody'" in result.stderr
    assert not (tmp_path / "hits").exists()


def test_a_file_that_vanishes_or_is_damaged_is_named_and_the_others_are_scored(tmp_path, monkeypatch):
    first, second, third = (write(tmp_path / f"run_{k}.h5") for k in (1, 2, 3))
    damaged = tmp_path / "run_4.h5"
    damaged.write_bytes(first.read_bytes()[:700])
    scored = Half.score

    def vanish(self, frames, mask, *, run):
        second.unlink(missing_ok=True)  # while the first is being scored
        return scored(self, frames, mask, run=run)

    monkeypatch.setattr(Half, "score", vanish)
    result = invoke(first, second, third, damaged, "-o", tmp_path / "hits")
    assert result.exit_code == 2
    assert "60 frames, in" in result.stdout
    figures = json.loads((tmp_path / "hits" / "summary.json").read_text())
    assert figures["frames"] == 60
    assert set(figures["failed"]) == {str(second), str(damaged)}
    assert (tmp_path / "hits" / "report.html").is_file()
    for path in (second, damaged):
        assert f"not in the results: {path}" in result.stderr


def test_a_scored_file_that_vanishes_before_its_frames_are_copied_is_left_out(tmp_path, monkeypatch):
    first, second = (write(tmp_path / f"run_{k}.h5") for k in (1, 2))
    scored = Half.score

    def vanish(self, frames, mask, *, run):
        if Half.calls:
            first.unlink(missing_ok=True)  # it is scored already
        Half.calls += 1
        return scored(self, frames, mask, run=run)

    monkeypatch.setattr(Half, "calls", 0, raising=False)
    monkeypatch.setattr(Half, "score", vanish)
    result = invoke(first, second, "-o", tmp_path / "hits")
    assert result.exit_code == 2
    assert json.loads((tmp_path / "hits" / "summary.json").read_text())["frames"] == 30
    assert "its 30 scores are kept" in result.stderr


@pytest.mark.parametrize("by_size", [False, True])
def test_how_to_select_by_size_is_said_unless_it_was_done(by_size, capsys):
    modes = [{"diameter": 58.8, "spread": 0.05, "share": 1.0}]
    figures = defaultdict(int, precision=None, sizes={"unit": "nm", "modes": modes}, status=defaultdict(int))
    show_classification(SimpleNamespace(figures=figures, n_new=0, seconds=1.0, files={}, failed={}), by_size=by_size)
    said = capsys.readouterr().out
    assert "main size 58.8 nm" in said
    assert ("select.mode=main" in said) is not by_size
