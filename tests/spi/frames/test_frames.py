"""Frames come out of every kind of file alike, whole, cut off or still growing; what is wrong is said."""

import os

import h5py
import hdf5plugin
import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.source import batch_length, open_frames, read_batch

FRAMES = np.random.default_rng(0).poisson(3.0, (40, 24, 32)).astype(np.uint16)
LZ4 = hdf5plugin.Bitshuffle(cname="lz4")
STORED = {
    "contiguous": {},
    "frame by frame": {"chunks": (1, 24, 32)},
    "blocks": {"chunks": (7, 24, 32)},
    "tiles": {"chunks": (1, 12, 16)},
    "gzip": {"chunks": (1, 24, 32), "compression": "gzip"},
    "bitshuffle": {"chunks": (1, 24, 32), **LZ4},
}


def write(path, frames=FRAMES, name="entry_1/data_1/data", **how):
    libver = how.pop("libver", None)
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset(name, data=frames, **how)
    return path


@pytest.mark.parametrize("how", STORED)
def test_hdf5_gives_the_frames_however_they_are_stored(how, tmp_path):
    path = write(tmp_path / "run.h5", **STORED[how])
    with open_frames(path) as source:
        assert (source.shape, source.dtype, source.notes) == (FRAMES.shape, FRAMES.dtype, ())
        np.testing.assert_array_equal(source.read(5, 23), FRAMES[5:23])


@pytest.mark.parametrize("dtype", ["u1", "<i4", ">u2", "<f4", "<f8"])
def test_any_number_type_comes_in_native_order(dtype, tmp_path):
    values = FRAMES.astype(dtype)
    np.save(tmp_path / "run.npy", values)
    for path in (write(tmp_path / "run.h5", values), tmp_path / "run.npy"):
        with open_frames(path) as source:
            assert source.dtype.isnative
            np.testing.assert_array_equal(source.read(0, 40), FRAMES)


def test_frames_of_every_kind_can_be_written_to(tmp_path):
    np.save(tmp_path / "run.npy", FRAMES)
    np.savez(tmp_path / "run.npz", FRAMES)
    for path in (tmp_path / "run.npy", tmp_path / "run.npz", write(tmp_path / "run.h5")):
        with open_frames(path) as source:
            assert source.read(0, 3).flags.writeable  # torch warns of arrays that aren't


def test_npz_is_unpacked_forwards_and_backwards(tmp_path):
    np.savez_compressed(tmp_path / "run.npz", frames=FRAMES, energies=np.arange(40))
    with open_frames(tmp_path / "run.npz") as source:
        assert (source.dataset, source.shape) == ("frames", FRAMES.shape)
        np.testing.assert_array_equal(source.read(30, 40), FRAMES[30:40])
        np.testing.assert_array_equal(source.read(2, 5), FRAMES[2:5])


def test_the_only_3d_dataset_is_found_wherever_it_is(tmp_path):
    path = write(tmp_path / "run.h5", name="somewhere/else")
    with h5py.File(path, "a") as file:
        file["energies"], file["image"] = np.arange(40), np.ones((24, 32))
    with open_frames(path) as source:
        assert source.dataset == "somewhere/else"


def test_several_3d_datasets_are_listed_and_one_can_be_named(tmp_path):
    path = write(tmp_path / "run.h5", name="front/data")
    with h5py.File(path, "a") as file:
        file["back/data"] = FRAMES[:3]
    with pytest.raises(InputError, match=r"choose one with --dataset: back/data \(3, 24, 32\) uint16; front/data"):
        open_frames(path).__enter__()
    with open_frames(path, dataset="/back/data") as source:
        assert source.shape == (3, 24, 32)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [("entry/nothing", "its 3D datasets: a/frames"), ("a/image", "not frames"), ("a/words", "not frames")],
)
def test_a_wrong_dataset_says_which_there_are(dataset, message, tmp_path):
    path = write(tmp_path / "run.h5", name="a/frames")
    with h5py.File(path, "a") as file:
        file["a/image"], file["a/words"] = np.ones((4, 4)), np.full((2, 2, 2), b"word")
    with pytest.raises(InputError, match=message):
        open_frames(path, dataset=dataset).__enter__()


def test_the_files_own_mask_is_read_by_its_bits(tmp_path):
    path = write(tmp_path / "run.cxi")
    bits = np.zeros((24, 32), np.uint32)
    bits[0], bits[1], bits[2] = 0x1, 0x20, 0x200  # invalid; part of a peak, which is no fault; missing
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/mask"] = bits
    with open_frames(path) as source:
        assert not source.mask[[0, 2]].any()
        assert source.mask[1].all()
        assert source.mask[3:].all()


def test_a_mask_for_each_frame_becomes_unknown_pixels(tmp_path):
    path = write(tmp_path / "run.cxi")
    bits = np.zeros(FRAMES.shape, np.uint16)
    bits[4, 5, 6] = 1
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/mask"] = bits
    with open_frames(path) as source:
        frames = source.read(3, 6)
    assert np.argwhere(np.isnan(frames)).tolist() == [[1, 5, 6]]
    assert frames[0, 5, 6] == FRAMES[3, 5, 6]


def test_an_own_mask_of_another_shape_is_left_out_and_said(tmp_path):
    path = write(tmp_path / "run.cxi")
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/mask"] = np.zeros((9, 9), np.uint8)
    with open_frames(path) as source:
        assert source.mask is None
        assert "doesn't fit" in source.notes[0]


@pytest.mark.parametrize("how", [{}, {"libver": "latest", "chunks": (1, 24, 32)}], ids=["contiguous", "chunks"])
def test_of_a_cut_off_hdf5_file_the_frames_that_are_there_are_read(how, tmp_path):
    path = write(tmp_path / "run.h5", **how)
    os.truncate(path, int(path.stat().st_size * 0.6))
    with open_frames(path) as source:
        n_there = source.shape[0]
        assert 20 <= n_there <= 25
        assert f"{n_there} of the 40 frames" in " ".join(source.notes)
        np.testing.assert_array_equal(source.read(0, n_there), FRAMES[:n_there])


def test_a_cut_off_hdf5_file_without_its_index_is_an_error(tmp_path):
    path = write(tmp_path / "run.h5", np.ones((100, 64, 64), np.uint16), chunks=(1, 64, 64))
    os.truncate(path, int(path.stat().st_size * 0.6))
    with pytest.raises(InputError, match=r"run\.h5: can't be read, probably truncated"):
        open_frames(path).__enter__()


def test_of_a_cut_off_npy_file_the_frames_that_are_there_are_read(tmp_path):
    np.save(tmp_path / "run.npy", FRAMES)
    os.truncate(tmp_path / "run.npy", 128 + 10 * 24 * 32 * 2 + 7)
    with open_frames(tmp_path / "run.npy") as source:
        assert source.shape == (10, 24, 32)
        assert source.notes == ("the file was cut off: 10 of 40 frames are there",)
        np.testing.assert_array_equal(source.read(0, 10), FRAMES[:10])


def test_of_a_file_that_is_being_written_the_frames_so_far_are_read(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w", libver="latest") as writer:
        data = writer.create_dataset("data", (40, 24, 32), "u2", chunks=(1, 24, 32), maxshape=(None, 24, 32))
        writer.swmr_mode = True
        data[:15] = FRAMES[:15]
        data.flush()
        with open_frames(tmp_path / "run.h5") as source:
            assert source.shape[0] == 15
            assert "15 of the 40 frames" in source.notes[-1]
            np.testing.assert_array_equal(source.read(0, 15), FRAMES[:15])


def test_a_damaged_chunk_costs_its_frame_and_no_other(tmp_path):
    path = write(tmp_path / "run.h5", chunks=(1, 24, 32), compression="gzip")
    with h5py.File(path) as file:
        place = file["entry_1/data_1/data"].id.get_chunk_info(6)
    with path.open("r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    with open_frames(path) as source:
        batch = read_batch(source, 4, 10)
    assert np.flatnonzero(batch.unreadable).tolist() == [2]
    np.testing.assert_array_equal(batch.frames[3:], FRAMES[7:10])
    assert not batch.frames[2].any()


def test_a_frame_that_was_never_written_is_unreadable_and_not_empty(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        data = file.create_dataset("data", FRAMES.shape, "u2", chunks=(1, 24, 32))
        data[:3], data[4:] = FRAMES[:3], FRAMES[4:]
    with open_frames(tmp_path / "run.h5") as source:
        batch = read_batch(source, 0, 40)
    assert np.flatnonzero(batch.unreadable).tolist() == [3]
    np.testing.assert_array_equal(batch.frames[4:], FRAMES[4:])


@pytest.mark.parametrize("name", ["empty.h5", "empty.npy", "text.h5", "text.npy", "text.npz", "frames.xyz", "gone.h5"])
def test_what_cannot_be_read_is_one_error_that_names_the_file(name, tmp_path):
    if name != "gone.h5":
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"not frames at all")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        open_frames(tmp_path / name).__enter__()


@pytest.mark.parametrize("values", [np.ones((4, 4)), np.full((2, 3, 4), "a"), np.ones((2, 3, 4), complex)])
def test_an_array_that_is_not_frames_is_refused(values, tmp_path):
    np.save(tmp_path / "run.npy", values)
    with pytest.raises(InputError, match="frames \\(n, y, x\\) of numbers were expected"):
        open_frames(tmp_path / "run.npy").__enter__()


def test_an_array_in_fortran_order_is_refused_with_a_remedy(tmp_path):
    np.save(tmp_path / "run.npy", np.asfortranarray(FRAMES))
    with pytest.raises(InputError, match="save it in C order"):
        open_frames(tmp_path / "run.npy").__enter__()


def test_batches_are_whole_blocks_and_bounded(tmp_path):
    with open_frames(write(tmp_path / "run.h5", chunks=(7, 24, 32))) as source:
        assert batch_length(source) % 7 == 0
        source.shape = (40, 4096, 4096)
        source.block = 1
        assert batch_length(source) == 1


def test_a_chunk_with_damaged_lengths_costs_its_frames_and_not_the_process(tmp_path):
    values = np.random.default_rng(0).poisson(1, (6, 128, 130)).astype(np.uint16)
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=values, chunks=(2, 128, 130), **hdf5plugin.Bitshuffle(cname="lz4"))
        place = data.id.get_chunk_info(1).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 13] ^= 0x55
    path.write_bytes(content)
    with open_frames(path) as source:
        batch = read_batch(source, 0, 6)
    np.testing.assert_array_equal(batch.unreadable, [False, False, True, True, False, False])
    np.testing.assert_array_equal(batch.frames[[0, 1, 4, 5]], values[[0, 1, 4, 5]])
