"""The demo at a small size: from a facility's files to a report that states how near the truth it came."""

from pathlib import Path

import pytest
import torch

from friedel.bcdi.demo import run_demo, with_chain
from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.networks.phase_unet import PhaseUNet
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.results.save import load_reconstruction
from friedel.core.networks import ModelCard, save_weights
from friedel.core.observer import Progress, Recorder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, tasks = tmp_path_factory.mktemp("demo") / "result", set()

    def watch(event):
        if isinstance(event, Progress):
            tasks.add(event.task)

    return run_demo(folder, seed=0, shape=(48, 64, 64), observer=watch), tasks


def test_the_scan_lies_beside_the_results_in_the_facilitys_format(run):
    folder = Path(run[0].files["report"]).parent
    assert len(list((folder / "scan").rglob("*.tif"))) == 48 + 2
    assert (folder / "scan" / "Demo.spec").read_text().startswith("#F ")
    assert ReconstructionPlan.load(folder / "plan.yaml").scan.beamline == "aps34idc"


def test_the_reconstruction_comes_near_the_truth(run):
    assert run[0].truth["correlation with the truth"] > 0.97
    assert run[0].truth["phase error inside (rad rms)"] < 0.15


def test_the_report_and_the_archive_tell_the_same(run):
    result, _ = run
    page = result.files["report"].read_text()
    assert "correlation with the truth" in page
    assert load_reconstruction(result.files["archive"]).quality.chi == pytest.approx(result.reconstruction.quality.chi)


def test_the_prediction_stands_beside_refinement_and_truth(run, tmp_path):
    torch.manual_seed(1)
    options = {"width": 4, "levels": 2}
    card = ModelCard(name="u", architecture="phase_unet", options=options)
    save_weights(tmp_path / "unet", PhaseUNet(**options), card)
    simulated = simulate_demo_scan(seed=0, shape=(48, 64, 64))
    recorder = Recorder()
    shown = with_chain(run[0], simulated, tmp_path, model=tmp_path / "unet.safetensors", observer=recorder)
    assert shown.files["network"].read_bytes()[:4] == b"\x89PNG"
    assert 0 < shown.truth["correlation of the network's prediction"] < shown.truth["correlation with the truth"]
    assert "after refinement" in recorder.notes[-1][1]


def test_without_weights_the_demo_says_so(run, tmp_path):
    recorder = Recorder()
    simulated = simulate_demo_scan(seed=0, shape=(48, 64, 64))
    shown = with_chain(run[0], simulated, tmp_path, model=tmp_path / "none.safetensors", observer=recorder)
    assert shown is run[0]
    assert "no prediction to show" in recorder.notes[-1][1]


def test_there_is_progress_to_show(run):
    assert {"writing frames", "reading frames", "writing results"} < run[1]
