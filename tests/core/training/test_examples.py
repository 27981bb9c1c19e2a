"""Examples are checked once, selected without copies, and shared out fairly and repeatably."""

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.core.training.examples import Batches, BatchReader, Examples


def _examples(single=6, other=14):
    labels = np.array([1] * single + [0] * other, dtype=np.uint8)
    inputs = np.arange(len(labels), dtype=np.float16)[:, None, None, None] * np.ones((1, 1, 2, 2), np.float16)
    return Examples(inputs=inputs, labels=labels)


def test_labels_that_do_not_fit_the_frames_are_refused():
    with pytest.raises(InputError, match=r"labels \(3,\) don't fit 4 frames"):
        Examples(inputs=np.zeros((4, 1, 2, 2), np.float32), labels=np.zeros(3))
    with pytest.raises(InputError, match=r"weights \(2,\) don't fit 4 frames"):
        Examples(inputs=np.zeros((4, 1, 2, 2), np.float32), labels=np.zeros(4), weights=np.ones(2))


@pytest.mark.parametrize("inputs", [np.zeros((4, 2, 2), np.float32), np.zeros((4, 1, 2, 2), np.int32)])
def test_inputs_of_other_axes_or_kind_are_refused(inputs):
    with pytest.raises(InputError, match=r"axes \(n, c, h, w\)"):
        Examples(inputs=inputs, labels=np.zeros(4))


def test_labels_other_than_zero_and_one_are_refused():
    with pytest.raises(InputError, match=r"got \[2, 3\]"):
        Examples(inputs=np.zeros((4, 1, 2, 2), np.float32), labels=np.array([0, 1, 2, 3]))


def test_a_split_holds_back_the_same_part_of_each_class():
    whole = _examples(20, 80)
    kept, held = whole.split(0.25, rng=np.random.default_rng(1))
    assert (len(kept), len(held), held.truth.sum()) == (75, 25, 5)
    assert sorted([*kept.rows, *held.rows]) == list(range(100))
    assert held.inputs is whole.inputs


def test_one_class_or_too_few_frames_can_not_be_split():
    with pytest.raises(InputError, match="0 of 5 frames are labelled single"):
        _examples(0, 5).split(0.2, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="1 frames of a class"):
        _examples(1, 5).split(0.2, rng=np.random.default_rng(0))


def test_a_batch_carries_its_own_labels_in_any_order():
    selection = _examples().select(np.array([19, 2, 7, 0]))
    inputs, labels, weights = BatchReader(selection)[np.array([0, 1, 3])]
    assert inputs[:, 0, 0, 0].tolist() == [0, 2, 19]
    assert labels.tolist() == [1, 1, 0]
    assert weights.tolist() == [1, 1, 1]


def test_epochs_are_shuffled_differently_but_repeatably():
    batches = Batches(10, 3, seed=4)
    first = np.concatenate(list(batches))
    batches.set_epoch(1)
    assert not np.array_equal(np.concatenate(list(batches)), first)
    assert np.array_equal(np.concatenate(list(Batches(10, 3, seed=4))), first)
    assert len(first) == 9
    assert len(set(first)) == 9


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_frames_and_take_equal_steps(world):
    shares = [Batches(25, 4, seed=0, rank=rank, world=world) for rank in range(world)]
    seen = np.concatenate([np.concatenate(list(share)) for share in shares])
    assert len({len(list(share)) for share in shares}) == 1
    assert len(seen) == len(set(seen)) == 24
    in_order = [Batches(25, 4, rank=rank, world=world) for rank in range(world)]
    assert sorted(np.concatenate([np.concatenate(list(share)) for share in in_order])) == list(range(25))
    assert all(len(list(share)) == len(share) for share in (*shares, *in_order))


def test_fewer_frames_than_a_batch_still_make_one():
    assert [len(batch) for batch in Batches(5, 64, seed=0)] == [5]
