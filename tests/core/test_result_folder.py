"""A folder of results appears whole or not at all."""

import os

import pytest

from friedel.core.errors import InputError
from friedel.core.files.atomic import appearing


def _entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_moves_when_the_block_ends_well(tmp_path):
    with appearing(tmp_path / "deep" / "result") as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not (tmp_path / "deep" / "result").exists()
    assert (tmp_path / "deep" / "result" / "a.txt").read_text() == "a"
    assert _entries(tmp_path / "deep") == ["result"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(28, "No space left on device")])
def test_a_failure_leaves_the_earlier_result_as_it_was(tmp_path, error):
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "a.txt").write_text("good")
    with pytest.raises(BaseException, match=r".*") as caught, appearing(folder) as unfinished:
        (unfinished / "a.txt").write_text("half")
        raise error
    assert isinstance(caught.value, error if isinstance(error, type) else type(error))
    assert (folder / "a.txt").read_text() == "good"
    assert _entries(tmp_path) == ["result"]


def test_an_existing_folder_keeps_what_the_result_does_not_replace(tmp_path):
    folder = tmp_path / "result"
    (folder / "frames").mkdir(parents=True)
    (folder / "frames" / "old.tif").touch()
    (folder / "notes.txt").write_text("mine")
    with appearing(folder) as unfinished:
        (unfinished / "frames").mkdir()
        (unfinished / "frames" / "new.tif").touch()
        (unfinished / "a.txt").touch()
    assert _entries(folder) == ["a.txt", "frames", "notes.txt"]
    assert _entries(folder / "frames") == ["new.tif"]


def test_being_stopped_while_moving_never_mixes_old_and_new(tmp_path, monkeypatch):
    folder = tmp_path / "result"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text("old")
    genuine, calls = os.replace, []

    def interrupted(source, place):
        calls.append(place)
        if len(calls) == 2:
            raise KeyboardInterrupt
        genuine(source, place)

    with pytest.raises(KeyboardInterrupt), appearing(folder) as unfinished:
        for name in "abc":
            (unfinished / name).write_text("new")
        monkeypatch.setattr(os, "replace", interrupted)
    assert [(folder / name).read_text() for name in "abc"] == ["new"] * 3


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "result").write_text("a file")
    with pytest.raises(InputError, match="result: this is a file"), appearing(tmp_path / "result"):
        pass


def test_a_place_that_cannot_be_written_fails_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder with -o"), appearing(tmp_path / "file" / "result"):
        pytest.fail("the block must not run")
