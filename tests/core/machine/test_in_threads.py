"""Work in threads keeps the order, carries errors, and gives the cores back."""

import threading
import time

import pytest
import torch

from friedel.core.machine.threads import in_threads


def test_results_come_in_the_order_of_the_pieces():
    def slow_at_first(number):
        time.sleep(0.02 * (number < 2))
        return number

    assert list(in_threads(slow_at_first, range(30))) == list(range(30))


def test_pieces_are_taken_only_as_they_are_needed():
    taken = []

    def pieces():
        for number in range(100):
            taken.append(number)
            yield number

    results = in_threads(lambda number: number, pieces())
    next(results)
    assert len(taken) <= 6
    results.close()


def test_an_error_is_raised_and_no_thread_goes_on():
    def fails(number):
        if number == 3:
            raise ValueError("piece 3")
        return number

    before, results = threading.active_count(), []
    with pytest.raises(ValueError, match="piece 3"):
        for result in in_threads(fails, range(100)):
            results.append(result)
    assert results == [0, 1, 2]
    assert threading.active_count() == before


def test_each_piece_is_computed_by_one_core_and_the_setting_restored():
    torch.set_num_threads(2)
    try:
        assert set(in_threads(lambda _: torch.get_num_threads(), range(4))) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
