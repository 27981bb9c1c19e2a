"""The FFT pair: its sign, its norm, its origin; odd and even sizes."""

import numpy as np
import pytest
import torch

from friedel.core import fourier as ft

SHAPES = [(4, 6, 8), (5, 7, 3), (4, 5, 6)]


def _random(shape, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=shape) + 1j * rng.normal(size=shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plane_wave_lands_on_its_own_frequency(shape):
    # F(q) = Σ ψ exp(-i q·r): a wave exp(+i 2π m·n/N) gathers at offset +m from the centre.
    centre, m = [n // 2 for n in shape], (1, -1, 1)
    axes = [np.arange(n) - c for n, c in zip(shape, centre, strict=True)]
    n_z, n_y, n_x = np.meshgrid(*axes, indexing="ij")
    wave = np.exp(2j * np.pi * (m[0] * n_z / shape[0] + m[1] * n_y / shape[1] + m[2] * n_x / shape[2]))
    spectrum = ft.fourier(torch.from_numpy(wave)).abs().numpy()
    expected = np.zeros(shape)
    expected[tuple(c + k for c, k in zip(centre, m, strict=True))] = np.sqrt(np.prod(shape))
    np.testing.assert_allclose(spectrum, expected, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_pair_keeps_the_photons_and_undoes_itself(shape):
    obj = _random(shape)
    diffraction = ft.fourier(obj)
    torch.testing.assert_close((diffraction.abs() ** 2).sum(), (obj.abs() ** 2).sum())
    torch.testing.assert_close(ft.inverse_fourier(diffraction), obj)


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_and_inverse_are_adjoint(shape):
    x, y = _random(shape), _random(shape, seed=1)
    torch.testing.assert_close(torch.vdot(ft.fourier(x).ravel(), y.ravel()),
                               torch.vdot(x.ravel(), ft.inverse_fourier(y).ravel()))  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_centre_and_corner_undo_each_other_and_agree_with_the_index_rule(shape):
    volume = torch.zeros(shape)
    volume[tuple(n // 2 for n in shape)] = 1.0
    corner = ft.to_corner(volume)
    assert corner[0, 0, 0] == 1.0
    torch.testing.assert_close(ft.to_centre(corner), volume)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_half_spectrum_is_the_full_one_cut_and_unnormalised(shape):
    values = _random(shape).real.contiguous()
    half = ft.real_fourier_corner(values)
    full = ft.fourier_corner(values) * np.sqrt(np.prod(shape))
    torch.testing.assert_close(half, full[..., : shape[-1] // 2 + 1])
    torch.testing.assert_close(ft.inverse_real_fourier_corner(half, shape), values)


def test_batches_transform_one_by_one():
    batch = _random((3, 4, 5, 6))
    torch.testing.assert_close(ft.fourier(batch)[1], ft.fourier(batch[1]))


@pytest.mark.parametrize("n", [7, 8])
def test_frequencies_are_cycles_per_sample(n):
    np.testing.assert_allclose(ft.frequencies(n).numpy(), np.fft.fftfreq(n), atol=1e-7)
    np.testing.assert_allclose(ft.half_frequencies(n).numpy(), np.fft.rfftfreq(n), atol=1e-7)
