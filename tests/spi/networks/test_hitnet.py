"""The default network: shapes, size, and options it refuses."""

import pytest
import torch

from friedel.core.errors import PlanError
from friedel.core.networks import build_network
from friedel.spi.networks.hitnet import HitNet, fuses_layers


def test_scores_come_from_the_features() -> None:
    network = HitNet(width=4).eval()
    images = torch.randn(3, 4, 64, 64)
    features = network.features(images)
    assert features.shape == (3, 32)
    assert torch.equal(network(images), network.scores(features))


def test_folding_the_normalisations_changes_no_score() -> None:
    torch.manual_seed(0)
    network = HitNet(width=4, depth=2, placed=True)
    torch.nn.init.normal_(network.body[2].offsets)
    images = torch.randn(8, 4, 64, 64)
    network(images)  # moves the normalisations' means and variances off their start
    folded = network.eval().folded()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert torch.allclose(folded(images), network(images), atol=1e-5)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_the_default_is_small() -> None:
    parameters = sum(p.numel() for p in HitNet(depth=2, placed=True).parameters())
    assert parameters == pytest.approx(199_000, rel=0.02)
    assert sum(p.numel() for p in HitNet().parameters()) < parameters


@pytest.mark.parametrize("options", [{"channels": 0}, {"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_options_out_of_range_are_told(options: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="HitNet needs"):
        build_network("hitnet", options)


def test_fewer_steps_give_the_same_features() -> None:
    torch.manual_seed(3)
    network = HitNet(depth=2, placed=True)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    quick, images = network.eval().folded(), torch.rand(5, 4, 64, 64)
    if not fuses_layers():
        pytest.skip("this torch has no fused layers")
    with torch.no_grad():
        exact = quick.features(images)
        found = quick.quick_features(images.to(torch.bfloat16, memory_format=torch.channels_last))
    assert torch.allclose(found.float(), exact, atol=0.03 * float(exact.abs().max()))
