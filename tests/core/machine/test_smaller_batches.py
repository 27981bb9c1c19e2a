"""A batch that doesn't fit is halved, aloud, and gives the same; other errors stay errors."""

import pytest
import torch

from friedel.core.errors import InputError
from friedel.core.machine.memory import in_smaller_batches, is_out_of_memory, smaller
from friedel.core.observer import Recorder, Warned

CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried 1 GB")


def _fits(most, error):
    def work(batch):
        if len(batch) > most:
            raise error
        return 2 * batch

    return work


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), CPU, MemoryError()])
def test_halves_until_it_fits_and_says_so(error):
    heard, inputs = [], torch.arange(7.0).reshape(7, 1)
    assert torch.equal(in_smaller_batches(_fits(2, error), inputs, observer=heard.append), 2 * inputs)
    assert [event.text for event in heard] == [
        "a batch of 7 doesn't fit the memory: going on with 3 at a time",
        "a batch of 3 doesn't fit the memory: going on with 1 at a time",
    ]
    assert all(isinstance(event, Warned) for event in heard)


def test_one_that_never_fits_is_an_error_that_says_what_to_do():
    with pytest.raises(InputError, match="batch of 1: take a smaller array"):
        in_smaller_batches(_fits(0, MemoryError()), torch.zeros(4, 1))
    with pytest.raises(InputError, match="batch of 3"):
        smaller(3, MemoryError(), least=2)


def test_other_errors_are_not_taken_for_it():
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="shapes"):
        in_smaller_batches(_fits(0, RuntimeError("shapes don't match")), torch.zeros(4, 1), observer=recorder)
    assert recorder.notes == ()
    assert not is_out_of_memory(ValueError("out of memory"))
