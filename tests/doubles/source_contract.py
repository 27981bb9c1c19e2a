"""What every source must keep to. To test a new one, subclass `SourceContract` and give it a peer; see test_sources.

A peer is a real sender on loopback. Each check opens a fresh source; the whole contract takes a few seconds.
"""

import time

import numpy as np
import pytest

from friedel.core.errors import InputError, PlanError
from friedel.stream.sources.events import Begun, Ended, Lost, Malformed, Message
from friedel.stream.sources.source import find_source

PATIENCE_S = 6.0


def collect(source, n_frames, *, patience_s=PATIENCE_S):
    """Return the events up to so many frames, the end, or the end of patience."""
    found, count, began = [], 0, time.monotonic()
    while count < n_frames and time.monotonic() - began < patience_s:
        event = source.receive(0.1)
        if event is None:
            continue
        found.append(event)
        if isinstance(event, Message):
            count += len(event.frames) if event.frames.ndim == 3 else 1
        if isinstance(event, Ended):
            break
    return found


def frames_of(found):
    """Return all frames of some events by number."""
    frames = {}
    for event in found:
        if isinstance(event, Message):
            stack = event.frames if event.frames.ndim == 3 else event.frames[None]
            frames |= {event.number + k: np.array(frame) for k, frame in enumerate(stack)}
    return frames


class SourceContract:
    """The checks; a subclass gives `peer`, a fixture with ``uri``, ``n_frames``, and ``frame(index)``.

    ``index`` counts the frames in the order sent, from 0. ``ends`` says whether the source knows when it is over.
    """

    n_frames = 6
    ends = False

    @pytest.fixture
    def peer(self):
        raise AssertionError("give a fixture 'peer'")

    def test_frames_arrive_bit_for_bit_in_order_and_numbered(self, peer):
        source = find_source(peer.uri)
        source.open()
        try:
            found = collect(source, self.n_frames)
        finally:
            source.close()
        assert isinstance(found[0], Begun), "a series begins before its first frame"
        assert not [event for event in found if isinstance(event, Malformed | Lost)]
        frames = frames_of(found)
        assert sorted(frames) == list(range(min(frames), min(frames) + self.n_frames))
        numbers = sorted(frames)
        assert numbers == list(range(numbers[0], numbers[0] + self.n_frames)), "numbers count up by one"
        for index, number in enumerate(numbers):
            expected = peer.frame(index)
            assert frames[number].dtype == expected.dtype
            np.testing.assert_array_equal(frames[number], expected)

    def test_it_ends_if_it_can(self, peer):
        if not self.ends:
            return
        source = find_source(peer.uri)
        source.open()
        try:
            found = collect(source, 10 * self.n_frames)
            assert isinstance(found[-1], Ended)
        finally:
            source.close()

    def test_receive_keeps_to_its_time(self, peer):
        source = find_source(peer.uri)
        source.open()
        try:
            collect(source, self.n_frames)
            began = time.monotonic()
            event = source.receive(0.1)
            assert event is None or isinstance(event, Ended | Lost)
            assert time.monotonic() - began < 2.0
        finally:
            source.close()

    def test_it_can_be_closed_at_any_time(self, peer):
        source = find_source(peer.uri)
        source.close()
        source.open()
        began = time.monotonic()
        source.close()
        source.close()
        assert time.monotonic() - began < PATIENCE_S, "closing waits for no frame"

    def test_an_unknown_option_is_refused_by_name(self, peer):
        glue = "&" if "?" in peer.uri else "?"
        with pytest.raises((PlanError, InputError), match="unknown key 'colour'"):
            find_source(f"{peer.uri}{glue}colour=red")
