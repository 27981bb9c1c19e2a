"""A run from frames to files: complete, in order, and taken up again where it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from friedel.core.errors import InputError, PlanError
from friedel.core.observer import Progress, Recorder, Warned
from friedel.spi.classify import photons
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan, EmcOptions
from friedel.spi.frames import source as frames_module
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.selection import SelectionOptions
from friedel.spi.records import FrameStatus
from friedel.spi.scores.files import read_scores

FILES = {
    "report.html", "scores.h5", "scores.csv", "summary.json", "plan.yaml", "selection.cxi", "selection.emc",
    "selection_detector.h5", "journal",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(frames_module, "BATCH_FRAMES", 16)


def plan_for(*paths, **settings):
    named = {key: settings.pop(key) for key in ("mask", "dataset") if key in settings}
    return ClassifyPlan(frames=FrameFiles(paths=paths, **named), **settings)


def write(path, frames, name="entry_1/data_1/data", **how):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=frames, **how)
    return path


def run_script(script, path, folder):
    arguments = [sys.executable, "-c", script, str(path), str(folder), str(Path(__file__).parents[1])]
    few_threads = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=few_threads)


def entries(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (1, 12, 10), **hdf5plugin.Bitshuffle(cname="lz4")}], ids=["plain", "lz4"]
)
def test_every_frame_is_scored_once_and_every_file_is_there(how, stand_in, numbered, tmp_path):
    path, model = write(tmp_path / "run.cxi", numbered(100), **how), stand_in()
    result = run_classification(plan_for(path), tmp_path / "hits", model=model)
    assert sorted(model.asked) == list(range(100))
    assert entries(tmp_path / "hits") == FILES
    assert entries(tmp_path) == {"run.cxi", "hits"}
    scores = read_scores(tmp_path / "hits" / "scores.h5")
    np.testing.assert_array_equal(scores.single, result.run.scores.single)
    assert scores.single[3] == pytest.approx(11 / 99)
    summary = json.loads((tmp_path / "hits" / "summary.json").read_text())
    assert summary["selected"] == int(scores.good.sum()) == result.figures["selected"]
    with h5py.File(tmp_path / "hits" / "selection.cxi") as file:
        np.testing.assert_array_equal(file["entry_1/data_1/data"][:, 0, 0] - 1, np.flatnonzero(scores.good))


def test_npy_and_npz_are_classified_alike_and_copied(stand_in, numbered, tmp_path):
    frames = numbered(40)
    np.save(tmp_path / "run.npy", frames)
    np.savez(tmp_path / "run.npz", frames=frames)
    selections = []
    for name in ("run.npy", "run.npz"):
        result = run_classification(plan_for(tmp_path / name), tmp_path / name[-3:], model=stand_in())
        with h5py.File(result.files["selection"]) as file:
            assert not file["entry_1/data_1/data"].is_virtual
            selections.append(file["entry_1/data_1/data"][()])
    np.testing.assert_array_equal(selections[0], frames[result.run.selected])
    np.testing.assert_array_equal(*selections)


def test_a_stopped_run_goes_on_without_scoring_a_frame_twice(stand_in, numbered, tmp_path):
    path, plan = write(tmp_path / "run.h5", numbered(100)), None
    plan, heard = plan_for(path), Recorder()
    first, second = stand_in(stop_after=50), stand_in()
    with pytest.raises(KeyboardInterrupt):
        run_classification(plan, tmp_path / "hits", model=first, observer=heard)
    assert any("goes on from there" in event.text for event in heard.events)
    assert entries(tmp_path / "hits") == {"journal"}
    result = run_classification(plan, tmp_path / "hits", model=second)
    kept = 100 - len(second.asked)
    assert kept in (16, 32, 48)
    assert sorted(second.asked) == list(range(kept, 100))
    assert set(range(kept)) <= set(first.asked)
    assert result.n_new == len(second.asked)
    whole = run_classification(plan, tmp_path / "other", model=stand_in())
    np.testing.assert_array_equal(result.run.scores.single, whole.run.scores.single)


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("no room")])
def test_stopped_before_the_first_frame_it_leaves_nothing_of_value_behind(error, stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(20))
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        run_classification(plan_for(path), tmp_path / "hits", model=stand_in(stop_after=-1, error=error))
    assert entries(tmp_path) == {"run.h5"}
    (tmp_path / "mine").mkdir()
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        run_classification(plan_for(path), tmp_path / "mine", model=stand_in(stop_after=-1, error=error))
    assert entries(tmp_path / "mine") == set()


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
sys.path.insert(0, sys.argv[3])
from pathlib import Path
import conftest
from friedel.spi.frames import source as frames
from friedel.spi.frames.files import FrameFiles
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
frames.BATCH_FRAMES = 4

class Slow(conftest.StandIn):
    def score(self, frames, mask, *, run):
        time.sleep(0.02 * bool(len(frames)))
        return super().score(frames, mask, run=run)

plan = ClassifyPlan(frames=FrameFiles(paths=(Path(sys.argv[1]),)))
run_classification(plan, Path(sys.argv[2]), model=Slow())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_killed_in_the_middle_it_goes_on_where_it_was(how, stand_in, numbered, tmp_path):
    path, folder = write(tmp_path / "run.h5", numbered(400)), tmp_path / "hits"
    arguments = [sys.executable, "-c", SCRIPT, str(path), str(folder), str(Path(__file__).parents[1])]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    journal_length = 0
    deadline = time.monotonic() + 60
    while journal_length < 1500 and time.monotonic() < deadline:
        journals = list(folder.glob("journal/*.scores"))
        journal_length = journals[0].stat().st_size if journals else 0
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(60) != 0
    assert entries(folder) == {"journal"}
    model = stand_in()
    result = run_classification(plan_for(path), folder, model=model)
    assert 0 < len(model.asked) < 400
    assert sorted(model.asked) == list(range(400 - len(model.asked), 400))
    np.testing.assert_array_equal(result.run.scores.single, ((np.arange(400) * 37 % 100) / 99).astype(np.float32))
    assert entries(folder) == FILES
    assert entries(tmp_path) == {"run.h5", "hits"}


def test_a_grown_file_is_scored_from_its_first_new_frame(stand_in, numbered, tmp_path):
    frames = numbered(60)
    with h5py.File(tmp_path / "run.h5", "w", libver="latest") as file:
        data = file.create_dataset("data", data=frames[:40], chunks=(1, 12, 10), maxshape=(None, 12, 10))
    first, second = stand_in(), stand_in()
    assert run_classification(plan_for(tmp_path / "run.h5"), tmp_path / "hits", model=first).run.n_frames == 40
    with h5py.File(tmp_path / "run.h5", "a", libver="latest") as file:
        data = file["data"]
        data.resize(60, axis=0)
        data[40:] = frames[40:]
    result = run_classification(plan_for(tmp_path / "run.h5"), tmp_path / "hits", model=second)
    assert (sorted(first.asked), sorted(second.asked)) == (list(range(40)), list(range(40, 60)))
    assert result.run.n_frames == 60
    assert set(first.runs + second.runs) == {(40, int(frames[:40].max()))}, "both parts are scored alike"


def test_frames_that_come_while_scoring_are_announced(stand_in, numbered, tmp_path):
    frames, heard = numbered(40), Recorder()
    with h5py.File(tmp_path / "run.h5", "w", libver="latest") as file:
        data = file.create_dataset("data", data=frames[:20], chunks=(1, 12, 10), maxshape=(None, 12, 10))
        file.swmr_mode = True

        class Growing(stand_in):
            def score(self, frames_now, mask, *, run):
                if len(frames_now) and len(data) == 20:
                    data.resize(40, axis=0)
                    data[20:] = frames[20:]
                    data.flush()
                return super().score(frames_now, mask, run=run)

        result = run_classification(plan_for(tmp_path / "run.h5"), tmp_path / "hits", model=Growing(), observer=heard)
    assert result.run.n_frames == 20
    assert any("has grown by 20 frames" in event.text for event in heard.events)


@pytest.mark.parametrize("change", ["frames", "model", "mask"])
def test_scores_of_other_frames_or_another_model_are_not_continued(change, stand_in, numbered, tmp_path):
    path, heard, plan, model = write(tmp_path / "run.h5", numbered(30)), Recorder(), None, stand_in()
    run_classification(plan_for(path), tmp_path / "hits", model=stand_in())
    plan = plan_for(path)
    if change == "frames":
        write(path, numbered(30, first=7))
    elif change == "model":
        model = stand_in(name="stand-in 4567")
    else:
        np.save(tmp_path / "mask.npy", np.eye(12, 10, dtype=np.uint8))
        plan = plan_for(path, mask=tmp_path / "mask.npy")
    run_classification(plan, tmp_path / "hits", model=model, observer=heard)
    assert len(model.asked) == 30
    assert any("are not continued: " in event.text for event in heard.events)


def test_bad_frames_are_counted_with_their_reason_and_stop_nothing(stand_in, numbered, tmp_path):
    frames = numbered(50)
    frames[10] = 0  # the stand-in calls this constant
    path = write(tmp_path / "run.h5", frames, chunks=(1, 12, 10), compression="gzip")
    with h5py.File(path) as file:
        place = file["entry_1/data_1/data"].id.get_chunk_info(20)
    with path.open("r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    result = run_classification(plan_for(path), tmp_path / "hits", model=stand_in())
    assert result.figures["status"] == {"scored": 48, "masked": 0, "constant": 1, "unreadable": 1}
    status = read_scores(tmp_path / "hits" / "scores.h5").status
    assert np.flatnonzero(status == FrameStatus.UNREADABLE).tolist() == [20]
    assert not result.run.selected[[10, 20]].any()
    page = (tmp_path / "hits" / "report.html").read_text()
    assert "1 skipped: all their pixels are equal" in page
    assert "1 skipped: their bytes are missing or damaged" in page
    assert "20,0.000000,0.000000,0,0,,,,,,0,0,0,unreadable" in (tmp_path / "hits" / "scores.csv").read_text()


def test_files_of_different_sizes_make_one_run(stand_in, numbered, tmp_path):
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "a.h5", numbered(20))
    write(tmp_path / "run" / "b.h5", numbered(30, (9, 14), first=20))
    np.save(tmp_path / "run" / "c.npy", numbered(10, first=50, dtype=np.float32))
    result = run_classification(plan_for(tmp_path / "run"), tmp_path / "hits", model=stand_in())
    np.testing.assert_array_equal(result.run.scores.single, ((np.arange(60) * 37 % 100) / 99).astype(np.float32))
    assert {"selection.emc", "selection_2.emc"} < entries(tmp_path / "hits")
    with h5py.File(tmp_path / "hits" / "selection.cxi") as file:
        shapes = [file[f"entry_{number}/data_1/data"].shape[1:] for number in (1, 2, 3)]
    assert shapes == [(12, 10), (9, 14), (12, 10)]  # the third are floats


def test_an_empty_file_among_others_is_no_error(stand_in, numbered, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 12, 10), np.uint16))
    np.save(tmp_path / "b.npy", numbered(20))
    result = run_classification(plan_for(tmp_path / "a.npy", tmp_path / "b.npy"), tmp_path / "hits", model=stand_in())
    assert result.run.n_frames == 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: np.save(folder / "run.npy", np.zeros((0, 12, 10))), "no frames in"),
        (lambda folder: (folder / "run.npy").touch(), "the file is empty"),
        (lambda folder: None, "no such file"),
    ],
    ids=["no frames", "no bytes", "no file"],
)
def test_without_a_frame_nothing_is_made(make, message, stand_in, tmp_path):
    make(tmp_path)
    before = entries(tmp_path)
    with pytest.raises(InputError, match=message):
        run_classification(plan_for(tmp_path / "run.npy"), tmp_path / "hits", model=stand_in())
    assert entries(tmp_path) == before


def test_a_mask_of_another_shape_is_an_error_before_any_work(stand_in, numbered, tmp_path):
    path, model = write(tmp_path / "run.h5", numbered(20)), stand_in()
    np.save(tmp_path / "mask.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"mask\.npy: the mask is \(4, 4\)"):
        run_classification(plan_for(path, mask=tmp_path / "mask.npy"), tmp_path / "hits", model=model)
    assert model.asked == []
    assert not (tmp_path / "hits").exists()


def test_both_masks_hold(stand_in, numbered, tmp_path):
    path, model = write(tmp_path / "run.cxi", numbered(20)), stand_in()
    own, given = np.zeros((12, 10), np.uint32), np.zeros((12, 10), np.uint8)
    own[3], given[:, 4] = 1, 1
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/mask"] = own
    np.save(tmp_path / "mask.npy", given)
    run_classification(plan_for(path, mask=tmp_path / "mask.npy"), tmp_path / "hits", model=model)
    np.testing.assert_array_equal(model.masks[-1], (own == 0) & (given == 0))


def test_a_full_disk_keeps_the_scores_and_the_earlier_results(stand_in, numbered, tmp_path, monkeypatch):
    path, plan = write(tmp_path / "run.h5", numbered(40)), None
    plan = plan_for(path)
    run_classification(plan, tmp_path / "hits", model=stand_in())
    before = {name: (tmp_path / "hits" / name).read_bytes() for name in FILES - {"journal"}}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photons, "write_emc", full)
    with pytest.raises(InputError, match=r"can't write the results \(No space left on device\); earlier ones"):
        run_classification(plan.model_copy(update={"fresh": True}), tmp_path / "hits", model=stand_in())
    assert {name: (tmp_path / "hits" / name).read_bytes() for name in FILES - {"journal"}} == before
    assert entries(tmp_path) == {"run.h5", "hits"}
    monkeypatch.undo()
    model = stand_in()
    run_classification(plan, tmp_path / "hits", model=model)
    assert model.asked == []


def test_really_full_a_small_disk_leaves_nothing_half_written(numbered, tmp_path):
    write(tmp_path / "run.h5", numbered(400, (64, 64)))
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
    ignored = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    script = limited + ignored + SCRIPT.replace("time.sleep(0.02", "time.sleep(0.0")
    script = script.replace("ClassifyPlan(frames", "ClassifyPlan(selection='copy', frames")
    process = run_script(script, tmp_path / "run.h5", tmp_path / "hits")
    assert "can't write the results (File too large)" in process.stderr
    assert entries(tmp_path / "hits") == {"journal"}
    assert entries(tmp_path) == {"run.h5", "hits"}


def test_leftovers_of_a_killed_process_are_removed(stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(10))
    (tmp_path / ".hits-unfinished-0123abcd").mkdir()
    run_classification(plan_for(path), tmp_path / "hits", model=stand_in())
    assert entries(tmp_path) == {"run.h5", "hits"}


def test_two_at_once_into_one_folder_are_kept_apart(stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(10))

    class Nested(stand_in):
        def score(self, frames, mask, *, run):
            if len(frames):
                with pytest.raises(InputError, match="another process is classifying into it"):
                    run_classification(plan_for(path), tmp_path / "hits", model=stand_in())
            return super().score(frames, mask, run=run)

    assert run_classification(plan_for(path), tmp_path / "hits", model=Nested()).run.n_frames == 10


def test_a_files_that_is_not_photons_gets_no_emc_and_says_how(stand_in, numbered, tmp_path):
    frames, heard = numbered(30).astype(np.float32), Recorder()
    frames[:, 1:] *= 130.7
    np.save(tmp_path / "run.npy", frames)
    result = run_classification(plan_for(tmp_path / "run.npy"), tmp_path / "a", model=stand_in(), observer=heard)
    assert "photons" not in result.files
    assert [event.text for event in heard.events if isinstance(event, Warned)] == [
        "not written: the frames are not whole photons; say how many detector units a photon makes, with "
        "--set emc.adu_per_photon=…"
    ]
    plan = plan_for(tmp_path / "run.npy", emc=EmcOptions(adu_per_photon=130.7))
    assert run_classification(plan, tmp_path / "b", model=stand_in()).files["photons"].is_file()


def test_limits_replace_the_default_selection(stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(50))
    plan = plan_for(path, select=SelectionOptions(single=0.2, reject_band=False))
    result = run_classification(plan, tmp_path / "hits", model=stand_in())
    scores = result.run.scores
    np.testing.assert_array_equal(result.run.selected, (scores.single >= 0.2) & ~scores.reject_band)


def test_nothing_selected_is_a_result_too(stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(10))
    plan = plan_for(path, select=SelectionOptions(fringes=1e9))
    result = run_classification(plan, tmp_path / "hits", model=stand_in())
    assert result.figures["selected"] == 0
    assert not {"selection.cxi", "selection.emc"} & entries(tmp_path / "hits")


def test_the_plan_left_behind_runs_again(stand_in, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(10))
    run_classification(plan_for(path), tmp_path / "hits", model=stand_in())
    again = ClassifyPlan.load(tmp_path / "hits" / "plan.yaml")
    assert run_classification(again, tmp_path / "two", model=stand_in()).run.n_frames == 10


def test_a_model_that_refuses_the_frames_stops_with_its_own_words(refusing, numbered, tmp_path):
    path = write(tmp_path / "run.h5", numbered(10, (8, 8)))
    with pytest.raises(InputError, match="too small"):
        run_classification(plan_for(path), tmp_path / "hits", model=refusing)
    assert entries(tmp_path) == {"run.h5"}


def test_what_is_missing_from_the_plan_is_named(tmp_path):
    with pytest.raises(PlanError, match="no frames are named"):
        run_classification(ClassifyPlan(), tmp_path)
    with pytest.raises(PlanError, match="no folder for the results"):
        run_classification(plan_for(tmp_path))


def test_progress_reaches_the_end(stand_in, numbered, tmp_path):
    path, events = write(tmp_path / "run.h5", numbered(50)), []
    run_classification(plan_for(path), tmp_path / "hits", model=stand_in(), observer=events.append)
    scoring = [event for event in events if isinstance(event, Progress) and event.task == "scoring frames"]
    assert (scoring[0].done, scoring[-1].done, scoring[-1].total) == (0, 50, 50)
    assert 0 < scoring[-1].figures["hit rate"] < 1


def test_memory_does_not_grow_with_the_run(stand_in, tmp_path):
    """A sparse file stands for a long run: 1 GB of frames, of which no more than a few batches are held."""
    with h5py.File(tmp_path / "run.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((120, 2048, 2048))
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT16, space, plist)
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (500_000_000, 500_000_000))\n" + SCRIPT
    ).replace("0.02 * bool(len(frames))", "0")
    process = run_script(script, tmp_path / "run.h5", tmp_path / "hits")
    assert process.returncode == 0, process.stderr[-2000:]
    assert json.loads((tmp_path / "hits" / "summary.json").read_text())["frames"] == 120
