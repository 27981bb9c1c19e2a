"""A network's output stands for one object, whichever space it was given in."""

import pytest
import torch

from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.bcdi.networks.patterns import is_phasing_network, network_input, predicted_diffraction, predicted_object
from friedel.core.fourier import fourier
from friedel.spi.networks.resnet import ResNet


@pytest.fixture
def obj() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    part = torch.polar(torch.rand(2, 4, 5, 3, generator=generator), torch.rand(2, 4, 5, 3, generator=generator))
    whole = torch.zeros(2, 8, 10, 9, dtype=torch.complex64)
    whole[:, 2:6, 3:8, 3:6] = part
    return whole


def test_the_input_is_the_amplitude_over_its_maximum() -> None:
    intensities = torch.tensor([4.0, 0.0, -1.0, 16.0]).reshape(1, 1, 2, 2)
    assert network_input(intensities).flatten().tolist() == [0.5, 0.0, 0.0, 1.0]
    assert network_input(torch.zeros(1, 2, 2, 2)).abs().sum() == 0


@pytest.mark.parametrize("gives", ["object", "diffraction"])
def test_the_true_output_gives_the_true_object(obj: torch.Tensor, gives: str) -> None:
    diffraction = fourier(obj)
    amplitude = diffraction.abs()[:, None]
    phasor = torch.polar(torch.ones_like(diffraction.real), diffraction.angle())
    given = {
        "object": torch.stack([obj.abs(), obj.angle()], 1),
        "diffraction": torch.stack([phasor.real, phasor.imag], 1),
    }[gives]
    assert torch.allclose(predicted_object(given, amplitude, gives=gives), obj, atol=1e-5)
    assert torch.allclose(predicted_diffraction(given, amplitude, gives=gives), diffraction, atol=1e-5)


def test_a_classifier_is_no_phasing_network() -> None:
    assert is_phasing_network(CdiNN())
    assert not is_phasing_network(ResNet())
