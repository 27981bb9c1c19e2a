"""Threads are taken from torch and NumPy for a piece of work, and given back, also after an error."""

import threading

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from friedel.core.machine.threads import single_thread, threads_for


def blas_threads():
    np.eye(2) @ np.eye(2)
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_thread_within_and_as_before_afterwards():
    before, blas = torch.get_num_threads(), blas_threads()
    with pytest.raises(ZeroDivisionError), single_thread():
        assert torch.get_num_threads() == 1
        assert blas_threads() == {1}
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
    assert blas_threads() == blas


def test_large_arrays_keep_their_threads():
    before = torch.get_num_threads()
    with threads_for(128**3):
        assert torch.get_num_threads() == before
    with threads_for(32**3):
        assert torch.get_num_threads() == 1


def test_pieces_of_work_that_overlap_give_the_threads_back():
    before, blas = torch.get_num_threads(), blas_threads()
    torch.set_num_threads(2)  # the tests run on one
    inside, may_leave, seen = threading.Event(), threading.Event(), []

    def other():
        with single_thread():
            seen.append(torch.get_num_threads())
            inside.set()
            may_leave.wait(10)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    try:
        with single_thread():
            thread.start()
            inside.wait(10)
            with single_thread():  # within itself, too
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        may_leave.set()
        thread.join()
        assert seen == [1, 2]
        assert torch.get_num_threads() == 2
        assert blas_threads() == blas
    finally:
        torch.set_num_threads(before)
