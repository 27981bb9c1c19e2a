"""The main job's folder: every file, whole or not at all, and a plan that makes the result again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from friedel.bcdi import result_files, run
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.plan import ReconstructionPlan, plan_for
from friedel.bcdi.results.save import load_reconstruction
from friedel.bcdi.run import run_reconstruction
from friedel.core.errors import InputError, MissingDependencyError, PlanError
from friedel.core.observer import Note, Recorder

FILES = {
    "crystal.json",
    "crystal.png",
    "crystal.vti",
    "plan.yaml",
    "quality.json",
    "reconstruction.cxi",
    "reconstruction.npz",
    "report.html",
}
SHAPE = (16, 20, 18)


@pytest.fixture
def truth(finished):
    return finished(shape=SHAPE, geometry=None)


@pytest.fixture
def plan(tmp_path, monkeypatch, truth):
    """Give a plan for a small volume, with a stand-in for phasing that knows the answer at once."""

    def answer(diffraction, options, *, seed, neighbour=None, device=None, observer):
        observer(Note("support", "the truth's"))
        return replace(truth, provenance=replace(truth.provenance, seed=seed))

    monkeypatch.setattr(run, "reconstruct_diffraction", answer)
    np.save(tmp_path / "a.npy", diffract(truth.object, n_photons=1e6, seed=0))
    prepare = {"shape": SHAPE, "centre": (8, 10, 9)}
    return ReconstructionPlan.read({"prepare": prepare, "seed": 4}).with_input(tmp_path / "a.npy")


@pytest.fixture
def quick_report(monkeypatch):
    def blank(path, *things, **content):
        path.write_text("<html></html>")
        return path

    monkeypatch.setattr(result_files, "write_report", blank)
    monkeypatch.setattr(result_files, "save_picture", blank)


def test_every_file_is_left_and_says_how_it_was_made(plan, truth, tmp_path):
    result = run_reconstruction(plan, tmp_path / "result")
    assert {path.name for path in (tmp_path / "result").iterdir()} == FILES
    assert {path.name for path in result.files.values()} == FILES
    assert all(path.is_file() for path in result.files.values())
    read = load_reconstruction(result.files["archive"])
    np.testing.assert_array_equal(read.object, truth.object)
    assert read.provenance.plan["seed"] == read.provenance.seed == 4
    steps = [step for step, _ in read.provenance.notes]
    assert steps.index("reading") < steps.index("support") < steps.index("isosurface")
    assert json.loads(result.files["figures"].read_text())["quality"]["chi"] == truth.quality.chi


def test_the_plan_left_behind_makes_the_result_again(plan, quick_report, tmp_path):
    first = run_reconstruction(plan, tmp_path / "result")
    assert ReconstructionPlan.load(first.files["plan"]) == plan
    again = run_reconstruction(plan_for(first.files["plan"]), tmp_path / "again")
    np.testing.assert_array_equal(again.diffraction.intensities, first.diffraction.intensities)


def test_being_stopped_leaves_the_earlier_result_as_it_was(plan, quick_report, tmp_path, monkeypatch):
    run_reconstruction(plan, tmp_path / "result")
    before = {path.name: path.read_bytes() for path in (tmp_path / "result").iterdir()}

    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(result_files, "write_report", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_reconstruction(plan.with_choices(seed=9), tmp_path / "result")
    assert {path.name: path.read_bytes() for path in (tmp_path / "result").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "result"]


def test_without_pyvista_the_rest_is_written_and_the_user_is_told(plan, quick_report, tmp_path, monkeypatch):
    def absent(crystal, path):
        raise MissingDependencyError("pyvista", "view", "write .vti files")

    monkeypatch.setattr(result_files, "save_crystal", absent)
    recorder = Recorder()
    result = run_reconstruction(plan, tmp_path / "result", observer=recorder)
    assert {path.name for path in result.files.values()} == FILES - {"crystal.vti"}
    assert any("pip install 'friedel[view]'" in event.text for event in recorder.events)


def test_a_comparison_with_the_truth_is_in_the_report(plan, tmp_path):
    compared = run_reconstruction(
        plan, tmp_path / "result", compare=lambda made, crystal: {"correlation with truth": 0.875}
    )
    assert compared.truth == {"correlation with truth": 0.875}
    page = compared.files["report"].read_text()
    assert "correlation with truth" in page
    assert "0.875" in page


def test_a_plan_without_input_or_folder_says_what_to_add(plan, tmp_path):
    with pytest.raises(PlanError, match="'scan' section"):
        run_reconstruction(ReconstructionPlan(), tmp_path)
    with pytest.raises(PlanError, match="give -o DIR"):
        run_reconstruction(plan)


def test_bad_data_leaves_nothing_behind(plan, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(SHAPE))
    with pytest.raises(InputError, match=r"a\.npy"):
        run_reconstruction(plan, tmp_path / "result")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_the_isosurface_that_the_plan_asks_for_is_the_one_of_the_result_too(plan, quick_report, tmp_path):
    asked = plan.with_settings(["strain.isosurface_level=0.3"])
    result = run_reconstruction(asked, tmp_path / "result")
    assert result.crystal.isosurface_level == 0.3
    assert result.reconstruction.quality.isosurface_level == 0.3
