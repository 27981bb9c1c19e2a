"""The allocator hint: taken once, harmless when repeated."""

import sys

import pytest

from friedel.core.machine.memory import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_the_c_library_takes_the_hint_and_repeating_it_is_harmless():
    assert keep_freed_memory() is True
    assert keep_freed_memory() is True


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory.__wrapped__() is False
