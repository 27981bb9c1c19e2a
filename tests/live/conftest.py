"""What the live tests share: the doubles must be importable by name in the processes that a watch starts."""

import os
import sys
from pathlib import Path

import pytest

# EPICS clients and servers stay on loopback; its library reads this when it is first imported.
os.environ |= {
    "EPICS_PVA_ADDR_LIST": "127.0.0.1", "EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
}  # fmt: skip
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "conformance")]


@pytest.fixture
def traces(tmp_path, monkeypatch):
    """Return the folder in which processes leave a trace before they die."""
    folder = tmp_path / "traces"
    folder.mkdir()
    monkeypatch.setenv("FRIEDEL_TEST_TRACES", str(folder))
    return folder
