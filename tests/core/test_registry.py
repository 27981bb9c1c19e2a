"""Weights come back as they went, and anything doubtful about them is refused."""

import json

import pytest
import torch

from friedel.bcdi.networks.patterns import is_phasing_network
from friedel.core.errors import PlanError, WeightsError
from friedel.core.networks import (
    ARCHITECTURES,
    ModelCard,
    build_network,
    load_statistics,
    load_weights,
    locate_weights,
    save_weights,
    shipped_models,
)
from friedel.spi.networks.resnet import ResNet

CARD = ModelCard(
    name="small",
    architecture="resnet",
    options={"n": 1, "m": 1, "size": 32},
    preprocessing="standardise",
    seed=3,
    figures={"accuracy": 0.998},
    extra={"temperature": 1.3, "edges": [0.1, 0.9], "table": [[1.0, 2.0], [3.0, 4.0]]},
)


@pytest.fixture
def saved(tmp_path):
    network = ResNet(1, 1, size=32).to(memory_format=torch.channels_last)
    statistics = {"mean": torch.arange(4.0).reshape(2, 2)}
    card = save_weights(tmp_path / "model.safetensors", network, CARD, statistics=statistics)
    return tmp_path / "model.safetensors", network, card


def test_weights_card_and_statistics_come_back(saved):
    path, network, written = saved
    loaded, card = load_weights(path)
    assert card == written == CARD.model_copy(update={"sha256": written.sha256})
    assert len(card.sha256) == 64
    assert not loaded.training
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert torch.equal(load_statistics(path)["mean"], torch.tensor([[0.0, 1.0], [2.0, 3.0]]))


def test_kernels_kept_as_halves_come_back_as_float32(saved, tmp_path):
    path, network, _ = saved
    save_weights(tmp_path / "half", network, CARD, half=True)
    loaded = load_weights(tmp_path / "half.safetensors")[0].state_dict()
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * path.stat().st_size
    for name, value in network.state_dict().items():
        assert loaded[name].dtype == value.dtype
        assert torch.allclose(loaded[name].float(), value.float(), rtol=1e-3, atol=1e-7)
        assert value.ndim > 1 or torch.equal(loaded[name], value)


def test_the_folder_stands_for_its_model(saved):
    assert load_weights(saved[0].parent)[1] == saved[2]


def test_a_changed_file_is_refused(saved):
    path = saved[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"SHA-256 is .* its card says"):
        load_weights(path)


def _edit(path, **changes):
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_an_unknown_architecture_is_refused_with_the_known_ones(saved):
    _edit(saved[0], architecture="transformer")
    with pytest.raises(WeightsError, match=r"'transformer'; known: .*resnet"):
        load_weights(saved[0])


def test_weights_of_another_architecture_are_refused(saved):
    _edit(saved[0], options={"n": 2, "m": 1, "size": 32})
    with pytest.raises(WeightsError, match="don't fit architecture 'resnet'"):
        load_weights(saved[0])


def test_a_card_with_an_unknown_key_is_refused(saved):
    _edit(saved[0], architectur="resnet")
    with pytest.raises(WeightsError, match="did you mean 'architecture'"):
        load_weights(saved[0])


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_card_is_refused(saved, content):
    saved[0].with_suffix(".json").write_text(content)
    with pytest.raises(WeightsError, match="copy it again"):
        load_weights(saved[0])


def test_missing_files_and_names_are_named(saved, tmp_path):
    with pytest.raises(WeightsError, match=r"elsewhere\.safetensors: no such weights"):
        load_weights(tmp_path / "elsewhere.safetensors")
    with pytest.raises(WeightsError, match="no model called 'nothing' is shipped"):
        load_weights("nothing")
    saved[0].with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="belongs beside them"):
        load_weights(saved[0])


def test_an_unwritable_place_leaves_nothing(tmp_path):
    with pytest.raises(WeightsError, match="can't be written"):
        save_weights(tmp_path / "absent" / "model.safetensors", ResNet(1, 1, size=32), CARD)
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_of_ones_own_needs_one_line(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "flat", lambda size: torch.nn.Linear(size, 2))
    assert build_network("flat", {"size": 3}).weight.shape == (2, 3)
    with pytest.raises(PlanError, match="can't be built with"):
        build_network("flat", {"sides": 3})


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_loads_and_is_small(name):
    network, card = load_weights(name)
    # All phasing weights together may have 25 MB, a classifier 5.
    assert locate_weights(name).stat().st_size <= (12e6 if is_phasing_network(network) else 5e6)
    assert card.limits
    assert card.data
