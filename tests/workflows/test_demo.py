"""The demo at a small size: from a facility's files to a report that states how near the truth it came."""

from pathlib import Path

import pytest

from friedel.base.observer import Progress
from friedel.io.results import load_reconstruction
from friedel.workflows.demo import run_demo
from friedel.workflows.plan import load_plan


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
    assert load_plan(folder / "plan.yaml").scan.beamline == "aps34idc"


def test_the_reconstruction_comes_near_the_truth(run):
    assert run[0].truth["correlation with the truth"] > 0.97
    assert run[0].truth["phase error inside (rad rms)"] < 0.15


def test_the_report_and_the_archive_tell_the_same(run):
    result, _ = run
    page = result.files["report"].read_text()
    assert "correlation with the truth" in page
    assert load_reconstruction(result.files["archive"]).quality.chi == pytest.approx(result.reconstruction.quality.chi)


def test_there_is_progress_to_show(run):
    assert {"writing frames", "reading frames", "writing results"} < run[1]
