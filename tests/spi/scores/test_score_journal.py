"""A journal of scores: whatever byte it was cut at, it goes on with the right frame."""

import errno

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.scores.journal import open_journal
from friedel.spi.scores.scored_run import SCORE

HEADER = {"file": "run.h5", "model": "default 1234"}


def scores(first, count):
    values = np.zeros(count, SCORE)
    values["single"] = np.arange(first, first + count) / 1000
    values["good"] = np.arange(first, first + count) % 2
    return values


def filled(path, stretches=((0, 10), (10, 10), (20, 5)), header=HEADER):
    journal = open_journal(path, header)
    for first, count in stretches:
        journal.append(first, scores(first, count))
    journal.close()
    return path.read_bytes()


def test_scores_come_back_and_go_on(tmp_path):
    filled(tmp_path / "a.scores")
    journal = open_journal(tmp_path / "a.scores", HEADER)
    assert (journal.n_scored, journal.restarted) == (25, "")
    journal.append(25, scores(25, 3))
    np.testing.assert_array_equal(journal.scores(), scores(0, 28))
    journal.close()


def test_cut_at_any_byte_it_holds_whole_stretches_only(tmp_path):
    path = tmp_path / "a.scores"
    whole = filled(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        journal = open_journal(path, HEADER)
        assert journal.n_scored in (0, 10, 20)
        np.testing.assert_array_equal(journal.scores(), scores(0, journal.n_scored))
        for first, count in ((0, 10), (10, 10), (20, 5)):
            if first >= journal.n_scored:
                journal.append(first, scores(first, count))
        journal.close()
        assert path.read_bytes() == whole


def test_a_changed_byte_ends_it_there(tmp_path):
    path = tmp_path / "a.scores"
    whole = bytearray(filled(path))
    whole[-100] ^= 1  # in the second stretch's scores or the third's
    path.write_bytes(bytes(whole))
    journal = open_journal(path, HEADER)
    assert journal.n_scored in (10, 20)
    np.testing.assert_array_equal(journal.scores(), scores(0, journal.n_scored))
    journal.close()


@pytest.mark.parametrize("changed", ["file", "model"])
def test_another_file_or_model_begins_anew_and_says_why(changed, tmp_path):
    filled(tmp_path / "a.scores")
    journal = open_journal(tmp_path / "a.scores", HEADER | {changed: "other"})
    assert (journal.n_scored, journal.restarted) == (0, f"it was of another {changed}")
    journal.close()


def test_it_can_be_told_to_begin_anew(tmp_path):
    filled(tmp_path / "a.scores")
    journal = open_journal(tmp_path / "a.scores", HEADER, fresh="that was asked for")
    assert journal.n_scored == 0
    journal.close()
    journal = open_journal(tmp_path / "b.scores", HEADER, fresh="that was asked for")
    assert journal.restarted == ""
    journal.close()


def test_what_it_was_begun_with_is_kept(tmp_path):
    for frames in (40, 60):
        journal = open_journal(tmp_path / "a.scores", HEADER, kept=lambda frames=frames: {"frames": frames})
        assert journal.kept == {"frames": 40}
        journal.close()


def test_a_frame_out_of_turn_is_refused(tmp_path):
    journal = open_journal(tmp_path / "a.scores", HEADER)
    with pytest.raises(ValueError, match="the next frame is 0, got 5"):
        journal.append(5, scores(5, 2))
    journal.close()


class FullDisk:
    """Takes some bytes, then none, as a disk does that fills up."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.file.write(data[: self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 7, 100])
def test_a_full_disk_is_a_clear_error_and_leaves_whole_stretches(room, tmp_path):
    path = tmp_path / "a.scores"
    whole = filled(path)
    journal = open_journal(path, HEADER)
    journal._file = FullDisk(journal._file, room)
    with pytest.raises(InputError, match=r"No space left on device.*25 frames of it are scored and kept"):
        journal.append(25, scores(25, 100))
    journal.close()
    assert path.read_bytes() == whole
