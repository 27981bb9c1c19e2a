"""The file of a simulated run: what it holds, what survives an interruption, and what is refused."""

import errno
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.core.files.reserved import fingerprint_of, unfinished_path
from friedel.spi.simulation.layout import DATA, MASK, PROCESS, SAMPLE, TRUTH, RunDescription, read_truth
from friedel.spi.simulation.writer import RunWriter

SHAPE = (6, 8)


def _description(*, fingerprint: str = "one", n_frames: int = 10, dtype: str = "uint16") -> RunDescription:
    return RunDescription(
        n_frames=n_frames,
        chunk=4,
        dtype=dtype,
        mask=np.arange(48).reshape(SHAPE) > 5,
        photon_energy_ev=1600.0,
        distance_m=0.5,
        pixel_size_m=3e-4,
        centre_yx=(2.5, 3.5),
        plan="frames: 10\n",
        fingerprint=fingerprint,
        version="0",
    )


def _chunk(number: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(number)
    truth = {name: rng.integers(0, 9, (4, *shape)).astype("S1" if dtype == "S16" or dtype == "S64" else dtype)
             for name, (dtype, shape, _) in TRUTH.items()}  # fmt: skip
    return rng.integers(0, 99, (4, *SHAPE)), truth


def _whole(path: Path, order: list[int]) -> bytes:
    with RunWriter(path, _description()) as writer:
        for number in order:
            writer.write(number, *_chunk(number))
        return writer.finish().read_bytes()


def test_a_finished_run_is_a_cxi_file_with_its_truth(tmp_path: Path) -> None:
    _whole(tmp_path / "run.cxi", [0, 1, 2])
    with h5py.File(tmp_path / "run.cxi") as file:
        assert file["cxi_version"][()] == 160
        assert file[DATA].shape == (10, *SHAPE)
        np.testing.assert_array_equal(file[DATA][8:], _chunk(2)[0][:2])
        np.testing.assert_array_equal(file[MASK][()] == 0, _description().mask)
        np.testing.assert_array_equal(file["entry_1/instrument_1/detector_1/data"][4:8], _chunk(1)[0])
        np.testing.assert_array_equal(file[f"{SAMPLE}/quaternion"][:4], _chunk(0)[1]["quaternion"])
        assert file["entry_1/instrument_1/source_1/energy"][()] == pytest.approx(1600 * 1.602176634e-19)
        assert file["entry_1/process_1/note_1/data"][()].decode() == "frames: 10\n"
    np.testing.assert_array_equal(read_truth(tmp_path / "run.cxi", "kind")[:4], _chunk(0)[1]["kind"].astype(str))


def test_the_order_of_chunks_and_interruptions_leave_no_trace(tmp_path: Path) -> None:
    straight = _whole(tmp_path / "straight.cxi", [0, 1, 2])
    assert _whole(tmp_path / "shuffled.cxi", [2, 0, 1]) == straight
    path = tmp_path / "stopped.cxi"
    with RunWriter(path, _description()) as writer:
        writer.write(1, *_chunk(1))
    assert not path.exists()
    with RunWriter(path, _description()) as writer:
        assert writer.pending == [0, 2]
        for number in writer.pending:
            writer.write(number, *_chunk(number))
        writer.finish()
    assert path.read_bytes() == straight
    assert not unfinished_path(path).exists()


def test_an_unfinished_run_of_another_plan_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "run.cxi"
    with RunWriter(path, _description()) as writer:
        writer.write(0, *_chunk(0))
    with pytest.raises(InputError, match="unfinished run of another plan"):
        RunWriter(path, _description(fingerprint="two"))
    assert fingerprint_of(unfinished_path(path), PROCESS) == "one"
    with RunWriter(path, _description(fingerprint="two"), fresh=True) as writer:
        assert writer.pending == [0, 1, 2]


def test_a_chunk_that_cant_be_written_stays_to_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunWriter(tmp_path / "run.cxi", _description()) as writer:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            with pytest.raises(InputError, match=r"No space left on device\); chunks done so far are kept"):
                writer.write(0, *_chunk(0))
        assert writer.pending == [0, 1, 2]


def test_a_disk_without_room_is_noticed_before_the_first_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match="nothing was left behind"):
        RunWriter(tmp_path / "run.cxi", _description())
    assert list(tmp_path.iterdir()) == []


def test_bad_places_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="doesn't exist; create it"):
        RunWriter(tmp_path / "nowhere" / "run.cxi", _description())
    (tmp_path / "text.cxi").write_text("no HDF5")
    assert fingerprint_of(tmp_path / "text.cxi", PROCESS) is None
    with pytest.raises(InputError, match="not a run that friedel simulated"):
        read_truth(tmp_path / "text.cxi", "kind")
    with pytest.raises(InputError, match="doesn't know 'colour'"):
        read_truth(tmp_path / "text.cxi", "colour")
