"""χ, deviance and the losses: zero where the model is true, right for known noise, smooth where photons are none."""

import pytest
import torch

from friedel.bcdi.phasing.iterations.likelihood import LOSSES, chi, deviance, mean_deviance

SHAPE = (12, 14, 16)


def poisson(mean: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return torch.poisson(mean, generator=torch.Generator().manual_seed(seed))


def test_chi_is_the_sine_of_the_angle_between_amplitudes() -> None:
    a, b = torch.rand(SHAPE), torch.rand(SHAPE)
    best = (a * b).sum() / a.square().sum()
    expected = torch.linalg.vector_norm(best * a - b) / torch.linalg.vector_norm(b)
    assert chi(a, b).item() == pytest.approx(expected.item(), rel=1e-4)
    assert chi(3 * b, b).item() < 1e-3
    assert chi(torch.zeros(SHAPE), b).item() == pytest.approx(1.0)


@pytest.mark.parametrize("rate", [0.5, 5.0, 500.0])
def test_the_true_model_has_a_deviance_of_about_one(rate: float) -> None:
    mean = torch.full((30, 30, 30), rate)
    found = mean_deviance(mean, poisson(mean), torch.ones_like(mean)).item()
    assert found == pytest.approx(1.0, abs=0.2)
    assert mean_deviance(1.5 * mean, poisson(mean), torch.ones_like(mean)).item() > found


def test_a_deviance_is_never_negative_and_zero_only_at_the_counts() -> None:
    counts = torch.tensor([0.0, 0.0, 1.0, 7.0, 100.0])
    assert torch.all(deviance(counts, counts).abs() < 1e-4)
    assert torch.all(deviance(counts + 0.5, counts) > 0)


def test_voxels_without_weight_do_not_count() -> None:
    mean = torch.rand(SHAPE) * 10
    weight = (torch.rand(SHAPE) < 0.5).float()
    spoiled = torch.where(weight > 0, mean, 1e6)
    assert mean_deviance(mean, spoiled, weight).item() == pytest.approx(0.0, abs=1e-4)
    for loss in LOSSES.values():
        assert loss(mean, spoiled, weight).item() == pytest.approx(loss(mean, mean, weight).item(), abs=1e-3)


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_loss_is_least_at_the_photons_and_its_gradient_finite_in_the_dark(name: str) -> None:
    photons = torch.tensor([[[0.0, 0.0, 1.0, 30.0]]])
    weight = torch.ones_like(photons)
    model = photons.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(LOSSES[name](model, photons, weight), model)
    assert torch.all(torch.isfinite(slope))
    # The Poisson loss has a floor of 0.01 photons under its logarithm, which shows at a single photon.
    assert torch.all(slope[photons > 0].abs() < 1.1e-2)
    for off in (0.7, 1.4):
        assert LOSSES[name](off * photons + 0.1, photons, weight) > LOSSES[name](photons, photons, weight)


def test_the_two_losses_weigh_a_bright_voxels_error_alike() -> None:
    photons, weight = torch.full((1, 1, 1), 10_000.0), torch.ones((1, 1, 1))
    model = photons + 50
    values = [loss(model, photons, weight) - loss(photons, photons, weight) for loss in LOSSES.values()]
    assert values[0].item() == pytest.approx(values[1].item(), rel=0.02)
