"""Plans are told apart by their keys, and every shipped one is valid and says how to run it."""

from pathlib import Path

import pytest

from friedel.cli.plan_kinds import KINDS, kind_of
from friedel.core.errors import InputError, PlanError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "plans").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_plan_is_valid_and_says_how_to_run_it(path: Path) -> None:
    kind = kind_of(path)
    kind.load(path)
    text = path.read_text(encoding="utf-8")
    assert f"plans/{path.name}" in text
    assert kind.command in text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.command)
def test_a_complete_plan_reads_back_as_the_same_plan_of_the_same_kind(kind, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(kind().text())
    assert kind_of(path) is kind
    assert kind.load(path) == kind()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("frames: 10\n", "friedel simulate hits"),
        ("frames: {paths: [run.cxi]}\n", "friedel classify"),
        ("seed: 1\n", "friedel reconstruct"),
        ("source: karabo://h:1\nselect: {single: 0.9}\n", "friedel watch"),
        ("source: pva://x\nimages: {members: 3}\n", "friedel watch --crystals"),
    ],
)
def test_one_key_that_two_kinds_know_is_told_apart_by_its_value(text: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    assert kind_of(tmp_path / "plan.yaml").command == command


def test_what_a_plan_names_and_isnt_there_is_found_but_not_its_results(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("samples: [{path: here.npy}, {path: lost.npy}]\ndetector: {geometry: lost.geom}\noutput: new.cxi\n")
    (tmp_path / "here.npy").touch()
    assert kind_of(path).load(path).absent_paths() == [tmp_path / "lost.geom", tmp_path / "lost.npy"]


def test_a_mistake_is_named_by_the_kind_that_fits_best(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("frames: 10\nrun: {particle: [torus]}\n")
    kind = kind_of(path)
    with pytest.raises(PlanError, match="did you mean 'particles'"):
        kind.load(path)
    with pytest.raises(InputError, match="can't read the plan"):
        kind_of(tmp_path / "nowhere.yaml")
