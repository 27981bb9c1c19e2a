"""VGG16 with random weights: every name and shape of the published file, every output's size, and damaged files."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from friedel.core.errors import WeightsError
from friedel.spi.networks.vgg16 import PUBLISHED_FILE, VGG16, load_vgg16

# Of torchvision's vgg16: index of each convolution in ``features`` and its (out, in) channels.
CONVOLUTIONS = {
    0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
    17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512),
}  # fmt: skip
CONNECTED = {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}


@pytest.fixture(scope="module")
def convolutions():
    torch.manual_seed(0)
    return VGG16(fully_connected=False).eval()


def test_names_and_shapes_are_those_of_the_published_file():
    with torch.device("meta"):
        network = VGG16()
    expected = {}
    for index, (wide, deep) in CONVOLUTIONS.items():
        expected |= {f"features.{index}.weight": (wide, deep, 3, 3), f"features.{index}.bias": (wide,)}
    for index, shape in CONNECTED.items():
        expected |= {f"classifier.{index}.weight": shape, f"classifier.{index}.bias": shape[:1]}
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == expected
    assert list(network.state_dict()) == list(expected)
    assert sum(tensor.numel() for tensor in network.parameters()) == 138_357_544


def test_every_output_has_its_shape():
    with torch.device("meta"):
        network, images = VGG16().eval(), torch.empty(2, 3, 128, 128)
        names = ("pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7", "fc8")
        shapes = {name: tuple(values.shape[1:]) for name, values in network.outputs(images, names).items()}
    assert shapes == {
        "pool1": (64, 64, 64), "pool2": (128, 32, 32), "pool3": (256, 16, 16), "pool4": (512, 8, 8),
        "pool5": (512, 4, 4), "fc6": (4096,), "fc7": (4096,), "fc8": (1000,),
    }  # fmt: skip


def test_layers_come_in_the_published_order():
    with torch.device("meta"):
        network = VGG16()
    kinds = [type(layer).__name__ for layer in network.features]
    assert [i for i, kind in enumerate(kinds) if kind == "MaxPool2d"] == [4, 9, 16, 23, 30]
    assert [type(layer).__name__ for layer in network.classifier] == ["Linear", "ReLU", "Dropout"] * 2 + ["Linear"]


def test_a_shallow_output_is_the_deep_ones_beginning(convolutions):
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        found = convolutions.outputs(images, ("pool5", "pool2"))
        assert list(found) == ["pool5", "pool2"]
        assert torch.equal(convolutions.features[10:](found["pool2"]), found["pool5"])
        assert torch.equal(convolutions(images), found["pool5"])


def test_fully_connected_outputs_need_a_network_that_has_them(convolutions):
    with pytest.raises(WeightsError, match="fully_connected=True"):
        convolutions.outputs(torch.rand(1, 3, 32, 32), ("fc7",))


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_weights_come_back_from_each_kind_of_file(convolutions, tmp_path, kind):
    tensors = convolutions.state_dict() | {"classifier.6.bias": torch.zeros(1000)}
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    loaded = load_vgg16(path, fully_connected=False)
    assert not loaded.training
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.state_dict().items())


def test_a_missing_file_is_named_with_the_one_that_is_needed(tmp_path):
    with pytest.raises(WeightsError, match=rf"absent\.pth.*{PUBLISHED_FILE}"):
        load_vgg16(tmp_path / "absent.pth")


def test_other_networks_and_damaged_files_are_refused(tmp_path):
    other, broken = tmp_path / "other.pth", tmp_path / "broken.pth"
    torch.save({"features.0.weight": torch.zeros(64, 3, 5, 5)}, other)
    broken.write_bytes(b"not a pickle at all")
    with pytest.raises(WeightsError, match="not VGG16's weights"):
        load_vgg16(other)
    with pytest.raises(WeightsError, match="can't be read as weights"):
        load_vgg16(broken)


def test_a_file_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "harmful.pth"
    torch.save({"features.0.weight": hashlib.sha256}, path)
    with pytest.raises(WeightsError, match="can't be read as weights"):
        load_vgg16(path)


def test_the_hash_in_the_name_is_held_to(tmp_path):
    path = tmp_path / PUBLISHED_FILE
    torch.save({}, path)
    with pytest.raises(WeightsError, match="not 397923af as its name says"):
        load_vgg16(path)
