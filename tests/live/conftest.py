"""What the live tests share: the doubles must be importable by name in the processes that a watch starts."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "conformance")]


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """Return the folder in which processes leave a trace before they die."""
    folder = tmp_path / "traces"
    folder.mkdir()
    monkeypatch.setenv("FRIEDEL_TEST_TRACES", str(folder))
    return folder
