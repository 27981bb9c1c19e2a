"""The context file for DAMNIT, run by DAMNIT's own machinery where that is installed."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

CONTEXT = Path(__file__).resolve().parents[3] / "deploy" / "damnit_context.py"


@pytest.fixture
def execute(monkeypatch, tmp_path):
    damnit = pytest.importorskip("damnit", reason="needs damnit and what its context files need")
    monkeypatch.syspath_prepend(Path(damnit.__file__).parent / "ctxsupport")
    pytest.importorskip("xarray")
    runner = pytest.importorskip("ctxrunner")
    monkeypatch.chdir(tmp_path)  # of a run that isn't EXtra-data's, DAMNIT takes the proposal to be here
    context = runner.ContextFile.from_py_file(CONTEXT)
    context.check()

    def run(number, files):
        done = context.execute(
            SimpleNamespace(files=[SimpleNamespace(filename=str(path)) for path in files]), number, 1, {}
        )
        assert not done.errors
        return {name.removeprefix("friedel_"): cell.data for name, cell in done.cells.items()}

    yield run
    for name in ("ctxrunner", "damnit_ctx", "damnit_exceptions", "damnit_writing"):
        sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore")  # of DAMNIT's libraries
def test_a_run_is_classified_and_its_figures_are_shown(execute, tmp_path):
    folder = tmp_path / "raw" / "r0007"
    folder.mkdir(parents=True)
    np.save(folder / "frames.npy", np.random.default_rng(0).poisson(0.4, (12, 64, 64)).astype(np.uint16))
    found = execute(7, [folder / "frames.npy"])
    results = tmp_path / "scratch/friedel/r0007"
    assert json.loads((results / "summary.json").read_text())["frames"] == 12
    assert (found["frames"], found["hits"], found["hit_rate"], found["size"]) == (12, 0, 0.0, "")
    assert Path(found["report"]).resolve() == results / "report.html"


@pytest.mark.filterwarnings("ignore")
def test_what_a_watch_or_a_classification_left_is_taken_as_it_is(execute, tmp_path):
    watched, classified = (tmp_path / f"scratch/friedel/r{number:04d}" for number in (1, 2))
    for folder in (watched, classified):
        folder.mkdir(parents=True)
    (watched / "summary.json").write_text(
        json.dumps({"ledger": {"processed": 40}, "selected": 10, "out_of_distribution": 1})
    )
    sizes = {"unit": "nm", "measured": 9, "modes": [{"diameter": 71.23}]}
    (classified / "summary.json").write_text(
        json.dumps({"frames": 50, "selected": 20, "out_of_distribution": 0, "sizes": sizes})
    )
    first, second = execute(1, ["nowhere"]), execute(2, ["nowhere"])
    assert (first["frames"], first["hit_rate"], first["size"], first["report"]) == (40, 0.25, "", "")
    assert (second["hits"], second["hit_rate"], second["size"]) == (20, 0.4, "71.2 nm")
