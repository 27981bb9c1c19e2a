import os

import pytest

from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with replacing(path) as unfinished:
        assert unfinished.parent == path.parent
        assert unfinished.suffix == ".txt"
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["result.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_stop_halfway_keeps_the_old_file_and_leaves_nothing_else(tmp_path, error):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as unfinished:
        unfinished.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


def test_a_full_disk_is_an_input_error_that_names_the_file(tmp_path):
    path = tmp_path / "result.txt"
    with (
        pytest.raises(InputError, match=r"result\.txt: can't be written \(No space left on device\); nothing was left"),
        replacing(path),
    ):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere doesn't exist"), replacing(tmp_path / "nowhere" / "a.txt"):
        pytest.fail("the block must not run")


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    with replacing(link) as unfinished:
        unfinished.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
