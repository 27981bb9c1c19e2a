"""Photon noise sent through the linearised fit: against the textbook case, a matrix, and its own adjoint."""

import numpy as np
import pytest
import torch

from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.records import Diffraction
from friedel.bcdi.uncertainty.photons import LinearFit, photon_draws
from friedel.core.fourier import fourier
from friedel.core.machine.device import generator

SHAPE = (10, 12, 11)


def fit_of(obj: torch.Tensor, support: torch.Tensor, *, poisson: bool = False, **more: float) -> LinearFit:
    intensities = fourier(obj).abs().square().numpy()
    measured = measured_from(Diffraction(intensities=intensities, mask=np.ones(SHAPE, dtype=bool)))
    return LinearFit(obj, support, measured, poisson=poisson, **more)


def block(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a small object without symmetry and its support."""
    rng = np.random.default_rng(3)
    support = torch.zeros(SHAPE, dtype=torch.bool)
    support[3:6, 4:8, 5:8] = True
    values = scale * (1 + 0.3 * rng.random(SHAPE)) * np.exp(1j * rng.random(SHAPE))
    return torch.from_numpy(values.astype(np.complex64)) * support, support


@pytest.mark.parametrize("poisson", [True, False])
def test_the_amplitude_of_one_voxel_has_a_standard_error_of_one_half(poisson: bool):
    # |F|² = a²/N in each of N voxels: the Fisher information on a is 4, whatever a; on the phase it is zero.
    support = torch.zeros(SHAPE, dtype=torch.bool)
    support[5, 6, 5] = True
    obj = 600.0 * np.exp(0.7j) * support.to(torch.complex64)
    deviations, _ = photon_draws(fit_of(obj, support, poisson=poisson), 1000, generator(1))
    turned = deviations[:, 0] * np.exp(-0.7j)
    assert turned.real.std() == pytest.approx(0.5, rel=0.1)
    assert np.abs(turned.imag).max() < 1e-3


def test_the_adjoint_is_the_forward_operators():
    obj, support = block(30.0)
    fit = fit_of(obj, support)
    rng = generator(0)
    change = torch.randn((2, *fit.inside.shape), dtype=torch.complex64, generator=rng) * fit.inside
    residual = torch.randn((2, *SHAPE), generator=rng)
    forth = (fit.forward(change) * residual).sum()
    back = (change.conj() * fit.adjoint(residual)).real.sum()
    assert float(forth) == pytest.approx(float(back), rel=1e-4)


def test_draws_have_the_inverse_information_as_their_covariance():
    obj, support = block(200.0)
    fit = fit_of(obj, support)
    n = int(support.sum())
    basis = torch.zeros((2 * n, *fit.inside.shape), dtype=torch.complex64)
    basis[:, fit.inside] = torch.cat([torch.eye(n), 1j * torch.eye(n)]).to(torch.complex64)
    matrix = fit.forward(basis).reshape(2 * n, -1).double()
    expected = np.linalg.pinv((matrix @ matrix.T).numpy(), rcond=1e-5, hermitian=True)
    deviations, _ = photon_draws(fit, 800, generator(2))
    parts = np.concatenate([deviations.real, deviations.imag], axis=1)
    found = (parts**2).mean(axis=0)
    assert np.sqrt(found.sum() / np.trace(expected)) == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(found, np.diag(expected))[0, 1] > 0.8


def test_what_photon_noise_leaves_is_one_less_the_share_of_parameters():
    obj, support = block(200.0)
    _, deviances = photon_draws(fit_of(obj, support), 40, generator(2))
    assert deviances.mean() == pytest.approx(1 - 2 * int(support.sum()) / np.prod(SHAPE), abs=0.03)


def test_an_expected_density_leaves_amplitudes_less_room_and_phases_as_much():
    obj, support = block(8.0)
    fits = [fit_of(obj, support), fit_of(obj, support, density_spread=0.02)]
    free, expecting = (photon_draws(fit, 200, generator(2))[0] for fit in fits)
    unit = (obj / obj.abs().clamp_min(1e-9))[support].numpy()
    # The block is thin: only its middle voxels have all their neighbours, and so an expected density.
    middle = (np.argwhere(support.numpy()) == [4, 5, 6]).all(axis=1)
    radial = [(part * unit.conj()).real[:, middle].std() for part in (free, expecting)]
    assert radial[1] < 0.6 * radial[0]
