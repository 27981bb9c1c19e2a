"""Activations are the layers' own outputs; Grad-CAM points where the evidence is, in every architecture."""

import pytest
import torch
from torch import nn

from friedel.core.errors import PlanError
from friedel.spi.figures import activations_figure, attention_figure
from friedel.spi.hits.explain import activations, convolutional_layers, grad_cam
from friedel.spi.networks.resnet import ResNet
from friedel.spi.networks.vgg16 import VGG16


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return ResNet(1, 1, size=32).eval()


def test_activations_are_what_the_layers_put_out(resnet):
    inputs = torch.rand(2, 1, 32, 32)
    found = activations(resnet, inputs, ["first", "stem"])
    assert list(found) == ["first", "stem"]
    assert torch.equal(found["stem"], resnet.stem(inputs))
    assert torch.equal(found["first"], resnet.first(resnet.stem(inputs)))


def test_every_convolution_of_vgg16_can_be_looked_at():
    torch.manual_seed(0)
    network = VGG16(fully_connected=False).eval()
    names = convolutional_layers(network)
    assert len(names) == 13
    found = activations(network, torch.rand(1, 3, 32, 32), names)
    assert found["features.0"].shape == (1, 64, 32, 32)
    assert found["features.28"].shape == (1, 512, 2, 2)
    weights = torch.rand(512)
    seen = grad_cam(network, torch.rand(2, 3, 32, 32), score=lambda pool5: pool5.flatten(1) @ weights)
    assert seen.shape == (2, 32, 32)


def test_an_unknown_layer_is_named_with_the_known_ones(resnet):
    with pytest.raises(PlanError, match=r"no layer 'third'; its layers: stem, stem\.0"):
        activations(resnet, torch.rand(1, 1, 32, 32), ["third"])


class _Corner(nn.Module):
    """Says "single" when the upper left is bright and "other" when the lower right is."""

    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(1, 2, 1, bias=False)
        nn.init.ones_(self.see.weight)
        self.unused = nn.Conv2d(1, 1, 1)

    def forward(self, frames):
        seen = self.see(frames)
        return torch.stack([seen[:, 0, 4:, 4:].sum((1, 2)), seen[:, 1, :4, :4].sum((1, 2))], dim=1)


def test_grad_cam_weights_channels_by_their_gradient():
    network = _Corner().eval()
    frames = torch.zeros(2, 1, 8, 8)
    frames[0, 0, 1, 1], frames[1, 0, 6, 6] = 5.0, 3.0
    # Channel 1 speaks for "single", channel 0 as much against: they cancel. Asked for one score, its channel shows.
    assert not grad_cam(network, frames, layer="see").any()
    seen = grad_cam(network, frames, layer="see", score=lambda scores: scores[:, 1])
    assert seen[0, 1, 1] == 1
    assert seen[0].sum() == 1
    assert not grad_cam(network, frames, layer="see", score=lambda scores: -scores[:, 1]).any()


def test_grad_cam_works_on_frozen_networks_and_leaves_no_gradients(resnet):
    resnet.requires_grad_(False)
    with torch.no_grad():
        seen = grad_cam(resnet, torch.rand(3, 1, 32, 32), layer="second")
    resnet.requires_grad_(True)
    assert seen.shape == (3, 32, 32)
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
    assert all(parameter.grad is None for parameter in resnet.parameters())
    assert not resnet.second._forward_hooks


def test_layers_that_can_not_be_explained_are_named(resnet):
    with pytest.raises(PlanError, match="Grad-CAM needs"):
        grad_cam(resnet, torch.rand(1, 1, 32, 32), layer="scores")
    with pytest.raises(PlanError, match="'unused' takes no part"):
        grad_cam(_Corner(), torch.rand(1, 1, 8, 8), layer="unused")
    with pytest.raises(PlanError, match="has no convolution"):
        grad_cam(nn.Linear(2, 2), torch.rand(1, 2))


def test_figures_show_the_liveliest_channels_and_every_frame(resnet):
    frames = torch.rand(3, 1, 32, 32)
    maps = activations(resnet, frames, ["stem"])["stem"][0].numpy()
    maps[3] = 0
    figure = activations_figure(maps, title="stem", columns=5, most=15)
    shown = [axes.get_title() for axes in figure.axes if axes.get_images()]
    assert shown == [str(channel) for channel in range(16) if channel != 3]
    figure = attention_figure(frames[:, 0].numpy(), grad_cam(resnet, frames).numpy(), titles=("a", "b", "c"))
    assert [len(axes.get_images()) for axes in figure.axes] == [1, 1, 1, 2, 2, 2]
