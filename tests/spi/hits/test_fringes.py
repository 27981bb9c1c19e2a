"""Fringe visibility: nothing without fringes, more with more photons; and the model's input against plain formulas."""

import numpy as np
import pytest
import torch

from friedel.spi.hits.features import fringes
from friedel.spi.hits.features.features import SIDE, local_mean, log_spectra, model_input, whitened
from friedel.spi.hits.features.polar import polar_sums
from friedel.spi.hits.preparation.prepare import Prepared

Y, X = np.indices((128, 128)) - 64
RADIUS = np.hypot(*(np.indices((128, 128)) - 64))


def prepared(light: np.ndarray, n: int = 16, *, mask: np.ndarray | None = None, noise: float = 0.0) -> Prepared:
    rng = np.random.default_rng(3)
    known = np.ones((128, 128)) if mask is None else mask
    frames = (rng.poisson(light, (n, 128, 128)) + noise * rng.standard_normal((n, 128, 128))) * known
    return Prepared(
        photons=torch.from_numpy(frames.astype(np.float32))[:, None],
        known=torch.from_numpy(known.astype(np.float32))[None, None],
        read_variance=noise**2,
    )


def fringe_visibility(frames: Prepared) -> torch.Tensor:
    return fringes.fringe_visibility(polar_sums(frames))


BLUR = 3000 * np.exp(-RADIUS / 8) + 0.05
RINGS = 3000 * np.exp(-RADIUS / 8) * np.cos(RADIUS / 5) ** 2 + 0.05


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
def test_a_round_blur_has_no_fringes(scale: float) -> None:
    assert float(fringe_visibility(prepared(scale * BLUR)).median()) < 2


def test_rings_are_seen_and_more_light_shows_them_better() -> None:
    weak, strong = (float(fringe_visibility(prepared(scale * RINGS)).median()) for scale in (0.05, 1.0))
    assert weak > 8
    assert strong > 2 * weak


def test_noise_alone_has_none_with_or_without_read_noise() -> None:
    flat = np.full((128, 128), 0.3)
    assert float(fringe_visibility(prepared(flat)).median()) < 2
    assert float(fringe_visibility(prepared(flat, noise=0.5)).median()) < 2


def test_a_hole_and_a_gap_are_no_fringes() -> None:
    mask = (RADIUS > 6) & (np.abs(np.indices((128, 128))[0] - 64) > 2)
    assert float(fringe_visibility(prepared(BLUR, mask=mask)).median()) < 2
    assert float(fringe_visibility(prepared(RINGS, mask=mask)).median()) > 20


# Rings of a fifth of a photon a pixel about a blur: no cell of a sector shows them.
WEAK_RINGS = 300 * np.exp(-RADIUS / 6) + 0.2 * (1 + np.cos(RADIUS * 2 * np.pi / 14))


def test_rings_that_no_single_cell_shows_are_seen_in_the_mean_of_the_whole_ring() -> None:
    visible = fringe_visibility(prepared(WEAK_RINGS, 64))
    assert float((visible >= 5).float().mean()) > 0.9


def test_streaks_and_speckles_without_rings_are_seen() -> None:
    angle = np.arctan2(Y, X)
    streaks = 2000 * np.exp(-RADIUS / 8) * (0.02 + np.cos(3 * angle) ** 8) + 0.02
    assert float(fringe_visibility(prepared(streaks)).median()) > 8


ELLIPSE = 300 * np.exp(-(Y**2 + (1.4 * X) ** 2) / 800)
SHADED = 30 * np.exp(-RADIUS / 25) * (1 + 0.4 * np.sin(X / 25) * np.cos(Y / 30))
BESIDE = 300 * np.exp(-np.hypot(Y - 2, X + 1.5) / 15)
POWER = 2000 / (RADIUS + 3) ** 2


@pytest.mark.parametrize("light", [ELLIPSE, SHADED, BESIDE, POWER], ids=["ellipse", "shaded", "beside", "power"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_no_envelope_hole_gap_or_background_looks_like_fringes(light: np.ndarray, noise: float) -> None:
    mask = (RADIUS > 5) & (np.abs(Y - 3) > 2)
    mask[:40, :50] = False
    for scale in (0.02, 1.0):
        visible = fringe_visibility(prepared(scale * light + 0.01, 64, mask=mask, noise=noise))
        assert float(visible.quantile(0.95)) < 4


def test_spectra_are_those_of_the_full_transform() -> None:
    images = torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    half = torch.fft.rfft2(images, norm="ortho").abs() ** 2
    full = torch.fft.fftshift(torch.fft.fft2(images, norm="ortho").abs() ** 2, dim=(-2, -1))
    near, whole = torch.expm1(log_spectra(half)).split(1, dim=1)
    assert torch.allclose(near, full[..., 32:96, 32:96], rtol=1e-3, atol=1e-5)
    assert torch.allclose(whole[..., 32:, 32:], torch.nn.functional.max_pool2d(full, 2)[..., 32:, 32:], rtol=1e-3)
    assert torch.equal(whole[..., 1:, 1:32], whole[..., 1:, 33:].flip(-2, -1))


def test_whitened_noise_has_unit_variance_and_spectrum() -> None:
    plain = prepared(np.full((128, 128), 2.0), 8)
    assert float(whitened(plain).std()) == pytest.approx(1.0, rel=0.05)
    near = torch.expm1(model_input(plain)[:, 0])
    assert float(near.mean()) == pytest.approx(1.0, rel=0.1)


def test_bright_light_is_trusted_to_a_tenth_and_no_more() -> None:
    bright = prepared(np.full((128, 128), 1e6), 2)
    uneven = bright.photons * (1 + 0.1 * torch.randn(128, 128, generator=torch.Generator().manual_seed(0)))
    made = Prepared(photons=uneven, known=bright.known, read_variance=0.0)
    assert float(whitened(made).std()) == pytest.approx(1.0, rel=0.05)


def test_the_local_mean_looks_past_unknown_pixels() -> None:
    mask = (RADIUS > 10).astype(float)
    made = prepared(np.full((128, 128), 50.0), 2, mask=mask)
    assert local_mean(made.photons, made.known)[..., 40:88, 40:88].numpy() == pytest.approx(50, rel=0.05)


def test_two_bodies_show_as_lobes_at_their_separation() -> None:
    x = np.indices((128, 128))[1] - 64
    pair = model_input(prepared(2000 * np.exp(-RADIUS / 12) * (1 + np.cos(2 * np.pi * 16 * x / 128)), 1))[0, 0]
    column = pair[SIDE // 2]
    assert int(column[40:].argmax()) + 40 == SIDE // 2 + 16


def test_the_input_does_not_see_the_number_of_pixels_known() -> None:
    mask = np.ones((128, 128))
    mask[:40] = 0
    half = torch.expm1(model_input(prepared(np.full((128, 128), 2.0), 8, mask=mask))[:, 0])
    assert float(half.mean()) == pytest.approx(1.0, rel=0.1)
