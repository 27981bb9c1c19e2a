"""Frames of any size, unit and mask come out alike; a run tells its own centre, gain and faulty pixels."""

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.hits.preparation.prepare import RunConstants, checked_mask, natural_binning, prepare
from friedel.spi.hits.preparation.run_calibration import measure_run


def spots(n: int, shape: tuple[int, int], centre: tuple[float, float], *, seed: int = 0) -> np.ndarray:
    """Return Poisson frames of a round pattern about a centre."""
    y, x = np.indices(shape)
    radius = np.hypot(y - centre[0], x - centre[1])
    light = 200 * np.exp(-radius / 12) * (1.2 + np.cos(radius / 3)) + 0.2
    return np.random.default_rng(seed).poisson(light, (n, *shape)).astype(np.float32)


WHOLE = RunConstants(binning=1, centre=(64, 64))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "uint32", "int32", "float32", "float64"])
def test_every_number_type_gives_the_same_photons(dtype: str) -> None:
    frames = np.random.default_rng(0).poisson(2.0, (3, 128, 128))
    made = prepare(frames.astype(dtype), np.ones((128, 128), dtype=bool), WHOLE)
    assert np.array_equal(made.photons[:, 0].numpy(), frames)


@pytest.mark.parametrize(
    ("shape", "binning"), [((64, 64), 1), ((100, 80), 1), ((260, 257), 1), ((512, 600), 2), ((1024, 1024), 4)]
)
def test_any_shape_becomes_128_about_the_middle(shape: tuple[int, int], binning: int) -> None:
    assert natural_binning(shape) == binning
    frames = np.zeros((2, *shape), dtype=np.float32)
    frames[:, shape[0] // 2 // binning * binning, shape[1] // 2 // binning * binning] = 7
    constants = RunConstants(binning=binning, centre=(shape[0] // binning // 2, shape[1] // binning // 2))
    made = prepare(frames, np.ones(shape, dtype=bool), constants)
    assert made.photons.shape == (2, 1, 128, 128)
    assert float(made.photons[0, 0, 64, 64]) == pytest.approx(7.0, rel=1e-5)
    assert float(made.photons.sum()) == pytest.approx(14.0, rel=1e-5)
    if shape == (64, 64):
        assert int(made.known.sum()) == 64 * 64


def test_frames_opened_for_reading_only_are_taken_quietly() -> None:
    frames = np.random.default_rng(0).poisson(2.0, (3, 128, 128)).astype(np.float32)
    locked = frames.copy()
    locked.flags.writeable = False
    mask, constants = np.ones((128, 128), dtype=bool), RunConstants(binning=1, centre=(64, 64))
    assert torch.equal(prepare(locked, mask, constants).photons, prepare(frames, mask, constants).photons)


def test_what_is_not_finite_is_unknown_in_that_frame_only() -> None:
    frames = np.ones((3, 128, 128), dtype=np.float32)
    frames[1, 10, 20], frames[2] = np.inf, np.nan
    made = prepare(frames, np.ones((128, 128), dtype=bool), WHOLE)
    assert made.known.sum((1, 2, 3)).tolist() == [16384, 16383, 0]
    assert torch.isfinite(made.photons).all()


def test_bad_input_is_told() -> None:
    with pytest.raises(InputError, match="one frame is"):
        checked_mask(np.zeros((128, 128)), None)
    with pytest.raises(InputError, match="at least 64"):
        checked_mask(np.zeros((1, 32, 128)), None)
    with pytest.raises(InputError, match="doesn't fit"):
        checked_mask(np.zeros((1, 64, 64)), np.ones((64, 65), dtype=bool))
    with pytest.raises(InputError, match="no pixel"):
        checked_mask(np.zeros((1, 64, 64)), np.zeros((64, 64), dtype=bool))
    with pytest.raises(InputError, match="dtype"):
        checked_mask(np.zeros((1, 64, 64), dtype=complex), None)


@pytest.mark.parametrize("off", [(0, 0), (3, -2), (-6, 5)])
def test_the_centre_is_found_by_symmetry(off: tuple[int, int]) -> None:
    frames = spots(40, (160, 150), (80 + off[0], 75 + off[1]))
    assert measure_run(frames, np.ones((160, 150), dtype=bool)).centre == (80 + off[0], 75 + off[1])


@pytest.mark.parametrize("gain", [3.0, 120.0])
def test_the_gain_and_the_noise_are_measured(gain: float) -> None:
    rng = np.random.default_rng(1)
    photons = spots(60, (128, 128), (64, 64))
    frames = ((photons + 0.3 * rng.standard_normal(photons.shape)) * gain).astype(np.float32)
    measured = measure_run(frames, np.ones((128, 128), dtype=bool))
    assert measured.gain == pytest.approx(gain, rel=0.15)
    assert measured.read_variance == pytest.approx(0.09, rel=0.25)


def test_counted_photons_are_left_as_they_are() -> None:
    measured = measure_run(spots(20, (128, 128), (64, 64)), np.ones((128, 128), dtype=bool))
    assert (measured.gain, measured.read_variance) == (1.0, 0.0)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_hole_a_gap_and_hot_pixels_are_found_without_a_mask(noise: float) -> None:
    frames = spots(50, (128, 128), (64, 64))
    faulty = np.zeros((128, 128), dtype=bool)
    faulty[60:68, 60:68] = True
    faulty[64:66, 40:90] = True
    frames += noise * np.random.default_rng(2).standard_normal(frames.shape).astype(np.float32)
    frames[:, faulty] = 0
    frames[:, 100, 30] = 500
    found = measure_run(frames, np.ones((128, 128), dtype=bool)).faulty
    assert found is not None
    assert found.numpy()[faulty].all()
    assert bool(found[100, 30])
    assert (found.numpy() & ~faulty).sum() <= 12


def test_no_frames_have_constants_too() -> None:
    assert measure_run(np.zeros((0, 128, 128)), np.ones((128, 128), dtype=bool)).gain == 1.0


def test_the_gain_is_found_where_nearly_all_frames_are_blank_and_modules_drift() -> None:
    rng = np.random.default_rng(1)
    radius = np.hypot(*(np.indices((128, 128)) - 64.0))
    light = rng.gamma(4, 1 / 4, 120)[:, None, None] * (0.4 / (1 + radius / 4) ** 1.5)
    tiles = (np.indices((128, 128)) // 42).transpose(1, 2, 0) @ [4, 1]
    photons = rng.poisson(light) + rng.normal(0, 0.05, (120, 16))[:, tiles] + rng.normal(0, 0.12, light.shape)
    unit = measure_run(50.0 * photons, np.ones((128, 128), bool))
    # From the variance of tiles alone it came out three times too small.
    assert unit.gain == pytest.approx(50, rel=0.1)
    assert unit.read_variance < 0.04


def test_a_hot_pixel_amid_the_light_of_hits_is_found_in_the_darker_frames() -> None:
    rng = np.random.default_rng(2)
    radius = np.hypot(*(np.indices((128, 128)) - 64.0))
    bright = np.r_[np.full(30, 100.0), np.zeros(50)][:, None, None]
    frames = rng.poisson(0.01 + bright * np.exp(-((radius / 8) ** 2)))
    frames[:, 66, 60] += rng.integers(5, 60, 80)
    faulty = measure_run(frames, np.ones((128, 128), bool)).faulty
    assert faulty is not None
    assert faulty[66, 60]
    assert faulty.sum() < 4


def of_a_box(sides: tuple[int, int], seed: int) -> np.ndarray:
    """Return 20 frames of one box that always lies alike, behind a beamstop that nobody masked."""
    body = np.zeros((256, 256))
    body[128 - sides[0] // 2 : 128 + sides[0] // 2, 128 - sides[1] // 2 : 128 + sides[1] // 2] = 1
    light = np.abs(np.fft.fftshift(np.fft.fft2(body))) ** 2
    light[126:131, 126:131] = 0
    return np.random.default_rng(seed).poisson(light / light.sum() * 6e4 + 0.005, (20, 256, 256))


@pytest.mark.parametrize("sides", [(20, 20), (16, 24)])
@pytest.mark.parametrize("seed", range(3))
def test_dark_fringes_and_crests_of_one_particle_are_no_faulty_pixels(sides: tuple[int, int], seed: int) -> None:
    frames = of_a_box(sides, seed)
    faulty = measure_run(frames, np.ones((256, 256), dtype=bool)).faulty
    assert faulty is not None
    stop = np.zeros((128, 128), bool)
    stop[62:67, 62:67] = True
    assert (faulty.numpy() & ~stop).sum() <= 3
    assert faulty.numpy()[stop].all()


@pytest.mark.parametrize("level", [-7.0, -3.0, -1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_counts_from_which_too_much_was_taken_are_lifted_again(level: float, dtype: type) -> None:
    frames = spots(20, (128, 128), (64, 64))
    plain = measure_run(frames, np.ones((128, 128), dtype=bool))
    found = measure_run((frames + level).astype(dtype), np.ones((128, 128), dtype=bool))
    assert (plain.pedestal, plain.counted) == (0.0, True)
    assert (found.pedestal, found.gain, found.counted) == (level, 1.0, True)


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_field_makes_no_dim_pixel_blind(seed: int) -> None:
    frames = of_a_box((20, 20), seed) / np.random.default_rng(seed).normal(1, 0.05, (256, 256))
    found = measure_run(frames.astype(np.float32), np.ones((256, 256), dtype=bool))
    assert found.faulty is not None
    assert found.faulty.sum() < 40
    assert found.gain == pytest.approx(1, rel=0.05)
