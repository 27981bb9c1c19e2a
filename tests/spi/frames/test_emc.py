"""Dragonfly's sparse format, read back by a reader written from its description and not from the writer."""

import struct

import numpy as np
import pytest

from friedel.spi.frames.emc import sparse, to_photons, write_emc


def read_emc(path):
    """Little-endian int32: header of 1024 bytes (frames, pixels), ones, multi, places of each, counts of multi."""
    data = path.read_bytes()
    n_frames, n_pixels = struct.unpack_from("<ii", data)
    numbers = np.frombuffer(data, "<i4", offset=1024)
    ones, multi, rest = numbers[:n_frames], numbers[n_frames : 2 * n_frames], numbers[2 * n_frames :]
    assert len(rest) == ones.sum() + 2 * multi.sum()
    place_ones, place_multi, count_multi = np.split(rest, [ones.sum(), ones.sum() + multi.sum()])
    frames = np.zeros((n_frames, n_pixels), int)
    first_one = first_multi = 0
    for frame, n_ones, n_multi in zip(frames, ones, multi, strict=True):
        frame[place_ones[first_one : first_one + n_ones]] = 1
        frame[place_multi[first_multi : first_multi + n_multi]] = count_multi[first_multi : first_multi + n_multi]
        first_one, first_multi = first_one + n_ones, first_multi + n_multi
    return frames


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32])
def test_photons_survive_the_round_trip(dtype, tmp_path):
    frames = np.random.default_rng(1).poisson(0.4, (9, 13, 17)).astype(dtype)
    frames[4] = 0
    frames[5, 3, 2] = 200
    write_emc(tmp_path / "a.emc", map(sparse, frames), n_frames=9, n_pixels=13 * 17)
    np.testing.assert_array_equal(read_emc(tmp_path / "a.emc").reshape(frames.shape), frames)
    assert [path.name for path in tmp_path.iterdir()] == ["a.emc"]


def test_detector_units_become_the_nearest_number_of_photons():
    frame = np.array([[0.0, 64.0, 66.0, 260.0], [-300.0, np.nan, np.inf, 129.0]], np.float32)
    assert to_photons(frame, None, adu_per_photon=130.0).tolist() == [[0, 0, 1, 2], [0, 0, 0, 1]]


def test_masked_pixels_hold_no_photons():
    mask = np.array([[True, False]])
    assert to_photons(np.array([[3, 4]], np.uint16), mask).tolist() == [[3, 0]]


def test_integers_in_detector_units_are_scaled_too():
    assert to_photons(np.array([[0, 120, 400]], np.int16), None, adu_per_photon=130.0).tolist() == [[0, 1, 3]]
