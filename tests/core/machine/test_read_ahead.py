"""Reading ahead keeps the order, carries errors over, and stops when told."""

import threading

import pytest

from friedel.core.machine.threads import reading_ahead


def test_pieces_come_in_order_from_another_thread():
    names = []

    def pieces():
        for number in range(50):
            names.append(threading.current_thread().name)
            yield number

    with reading_ahead(pieces()) as arriving:
        assert list(arriving) == list(range(50))
    assert set(names) == {"read ahead"}


def test_no_more_than_the_depth_is_read_in_advance():
    read = []

    def pieces():
        for number in range(100):
            read.append(number)
            yield number

    with reading_ahead(pieces(), depth=3) as arriving:
        next(arriving)
        assert len(read) <= 6
    assert len(read) <= 6


def test_an_error_while_reading_is_raised_where_the_piece_would_come():
    def pieces():
        yield 1
        raise OSError("the disk is gone")

    with reading_ahead(pieces()) as arriving:
        assert next(arriving) == 1
        with pytest.raises(OSError, match="the disk is gone"):
            next(arriving)


def test_leaving_the_block_by_an_error_stops_the_thread():
    def endless():
        while True:
            yield 0

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), reading_ahead(endless()) as arriving:
        next(arriving)
        raise KeyboardInterrupt
    assert threading.active_count() == before
