"""The paper's network: the sizes it states, the weights it has, and what it refuses."""

import pytest
import torch

from friedel.core.errors import PlanError
from friedel.spi.networks.resnet import ResNet


def _sizes(network, frames):
    """Return (channels, h, w) after the stem, after each group and after the pool."""
    seen = {}
    hooks = [
        getattr(network, name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])})
        )
        for name in ("stem", "first", "second", "pool")
    ]
    scores = network.eval()(frames)
    for hook in hooks:
        hook.remove()
    return seen, scores


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 2), (3, 1), (1, 4)])
def test_every_stage_has_the_size_the_paper_states(n, m):
    network = ResNet(n, m)
    seen, scores = _sizes(network, torch.randn(2, 1, 128, 128))
    assert seen == {"stem": (16, 64, 64), "first": (32, 32, 32), "second": (64, 16, 16), "pool": (64, 8, 8)}
    assert scores.shape == (2, 2)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 2), (5, 3)])
def test_the_number_of_weights_follows_from_n_and_m(n, m):
    kernels = 9 * (1 * 16 + 16 * 32 + (2 * n - 1) * 32 * 32 + 32 * 64 + (2 * m - 1) * 64 * 64)
    norms = 2 * (16 + 2 * n * 32 + 2 * m * 64)
    last = 64 * 8 * 8 * 2 + 2
    assert sum(p.numel() for p in ResNet(n, m).parameters()) == kernels + norms + last


def test_n_and_m_of_two_make_ten_layers_with_weights():
    layers = [layer for layer in ResNet(2, 2).modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 10


def test_a_pair_whose_convolutions_are_silent_is_the_identity():
    network = ResNet(2, 1).eval()
    pair = network.first[1]
    torch.nn.init.zeros_(pair.second[0].weight)
    images = torch.rand(1, 32, 8, 8)
    assert torch.equal(pair(images), images)


def test_where_the_side_halves_the_identity_keeps_every_second_pixel():
    pair = ResNet(1, 1).eval().first[0]
    torch.nn.init.zeros_(pair.second[0].weight)
    images = torch.rand(1, 16, 8, 8)
    passed = pair(images)
    assert torch.equal(passed[:, :16], images[..., ::2, ::2])
    assert not passed[:, 16:].any()


def test_other_sides_and_several_images_a_frame_are_possible():
    assert ResNet(1, 1, size=64, channels=3).eval()(torch.rand(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"n": 0}, "n = 0"), ({"m": -1}, "m = -1"), ({"size": 100}, "size = 100"), ({"dropout": 1.0}, "1.0")],
)
def test_impossible_networks_are_refused(options, named):
    with pytest.raises(PlanError, match=named):
        ResNet(**options)
