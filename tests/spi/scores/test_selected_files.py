"""Scores and selected frames in files: what is written is what is read, by this package or by plain HDF5."""

import csv
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.source import open_frames, read_batch
from friedel.spi.scores.files import read_scores, write_scores_csv, write_scores_hdf5
from friedel.spi.scores.scored_run import SCORE, ScoredFile, ScoredRun, pack_scores, unpack_scores
from friedel.spi.scores.selection_cxi import linkable, write_selection

RNG = np.random.default_rng(5)


def scored_file(path, frames, *, mask=None, linkable=True):
    scores = np.zeros(len(frames), SCORE)
    scores["single"], scores["fringes"] = RNG.random(len(frames)), 10 * RNG.random(len(frames))
    scores["good"] = scores["single"] > 0.5
    return ScoredFile(
        path=path, dataset="data", shape=frames.shape, dtype=frames.dtype.str, scores=scores, mask=mask,
        linkable=linkable,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Two files of one size and one of another."""
    files, arrays = [], []
    for number, shape in enumerate([(30, 8, 9), (20, 8, 9), (10, 5, 6)]):
        arrays.append(RNG.poisson(2.0, shape).astype(np.uint16))
        path = tmp_path / "data" / f"run{number}.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            file["data"] = arrays[-1]
        files.append(scored_file(path, arrays[-1], mask=np.ones(shape[1:], bool)))
    selected = np.concatenate([file.scores["good"] for file in files]).astype(bool)
    return ScoredRun(files=tuple(files), selected=selected, model="double 12"), arrays


def expected(run, arrays, numbers):
    return [frame for index in numbers for frame in arrays[index][run.files[index].scores["good"] == 1]]


def copier(arrays):
    return lambda picked: (arrays[index][frames] for index, frames in picked)


@pytest.mark.parametrize("copied", [False, True], ids=["view", "copy"])
def test_the_selection_holds_the_selected_frames(copied, run, tmp_path):
    scored, arrays = run
    folder = tmp_path / "hits"
    folder.mkdir()
    write_selection(folder / "selection.cxi", scored, beside=folder, copy=copier(arrays) if copied else None)
    if copied:
        for file in scored.files:
            file.path.unlink()
    with h5py.File(folder / "selection.cxi") as file:
        assert (file["cxi_version"][()], file["number_of_entries"][()]) == (160, 2)
        np.testing.assert_array_equal(file["entry_1/data_1/data"], expected(scored, arrays, [0, 1]))
        np.testing.assert_array_equal(file["entry_2/data_1/data"], expected(scored, arrays, [2]))
        assert file["entry_1/data_1/data"].is_virtual is not copied
        frames, files = file["entry_1/data_1/frame"][()], file["entry_1/data_1/file"][()]
        singles = [scored.files[index].scores["single"][frame] for index, frame in zip(files, frames, strict=True)]
        np.testing.assert_array_equal(file["entry_1/result_1/single"], np.array(singles, np.float32))
        assert not file["entry_1/data_1/mask"][()].any()


def test_a_view_follows_when_the_whole_tree_moves(run, tmp_path):
    scored, arrays = run
    (tmp_path / "hits").mkdir()
    write_selection(tmp_path / "hits" / "selection.cxi", scored, beside=tmp_path / "hits")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("data", "hits"):
        os.rename(tmp_path / name, moved / name)
    with h5py.File(moved / "hits" / "selection.cxi") as file:
        np.testing.assert_array_equal(file["entry_1/data_1/data"], expected(scored, arrays, [0, 1]))


def test_a_view_can_be_read_as_frames_again_unless_its_files_are_gone(run, tmp_path):
    scored, arrays = run
    (tmp_path / "hits").mkdir()
    view = tmp_path / "hits" / "selection.cxi"
    write_selection(view, scored, beside=tmp_path / "hits")
    with open_frames(view, dataset="entry_1/data_1/data") as source:
        np.testing.assert_array_equal(source.read(0, source.shape[0]), expected(scored, arrays, [0, 1]))
    scored.files[1].path.unlink()
    with open_frames(view, dataset="entry_1/data_1/data") as source:
        lost = read_batch(source, 0, source.shape[0]).unreadable
    assert 0 < lost.sum() + source.expected - source.shape[0] < source.expected
    scored.files[0].path.unlink()
    with pytest.raises(InputError, match=r"refers to .*run[01]\.h5, which is missing"):
        open_frames(view, dataset="entry_1/data_1/data").__enter__()


def test_a_view_needs_files_that_hdf5_can_refer_to(run):
    scored, _ = run
    assert linkable(scored)
    plain = scored_file(Path("a.npy"), np.ones((4, 8, 9)), linkable=False)
    mixed = ScoredRun(files=(*scored.files, plain), selected=np.append(scored.selected, [True] * 4), model="")
    assert not linkable(mixed)


def test_scores_come_back_from_hdf5(run, tmp_path):
    scored, _ = run
    write_scores_hdf5(tmp_path / "scores.h5", scored, about={"plan": "model: default"})
    found, expected_scores = read_scores(tmp_path / "scores.h5"), scored.scores
    assert found.model == "double 12"
    np.testing.assert_array_equal(pack_scores(found), pack_scores(expected_scores))
    with h5py.File(tmp_path / "scores.h5") as file:
        assert file["scores/frame"][[29, 30, 59]].tolist() == [29, 0, 9]
        assert file["scores/file"][[29, 30, 59]].tolist() == [0, 1, 2]
        np.testing.assert_array_equal(file["scores/selected"], scored.selected)


def test_the_table_has_one_line_a_frame(run, tmp_path):
    scored, _ = run
    write_scores_csv(tmp_path / "scores.csv", scored)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert (rows[35]["file"], rows[35]["frame"], rows[35]["status"]) == (str(scored.files[1].path), "5", "scored")
    np.testing.assert_allclose([float(row["single"]) for row in rows], scored.scores.single, atol=1e-6)
    assert [row["selected"] == "1" for row in rows] == scored.selected.tolist()


def test_a_file_without_scores_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1
    with pytest.raises(InputError, match=r"other\.h5"):
        read_scores(tmp_path / "other.h5")


def test_packing_keeps_every_score():
    packed = np.zeros(3, SCORE)
    packed["single"], packed["reject_band"], packed["status"] = [0.1, 0.5, 0.9], [0, 1, 0], [0, 1, 3]
    scores = unpack_scores(packed, "m")
    assert scores.reject_band.dtype == bool
    np.testing.assert_array_equal(pack_scores(scores), packed)
