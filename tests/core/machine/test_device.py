"""Devices and seeds are arguments."""

import pytest
import torch

from friedel.core.errors import PlanError
from friedel.core.machine.device import generator, resolve_device


def test_none_takes_the_gpu_if_there_is_one():
    assert resolve_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == torch.device("cpu")


def test_an_absent_gpu_asked_for_by_name_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PlanError, match=r"'cuda'.*device='cpu'"):
        resolve_device("cuda")


def test_a_seed_gives_the_same_numbers_and_leaves_the_global_state_alone():
    before = torch.random.get_rng_state()
    first, second = (torch.rand(4, generator=generator(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
