"""A few files of each format damaged at random bytes: an error, a warning, or the same data; never a crash."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
damaged_files = pytest.importorskip("damaged_files")


@pytest.mark.parametrize("kind", damaged_files.FORMATS)
def test_damage_is_refused_said_or_without_effect(kind: str) -> None:
    found = {damaged_files.outcome(kind, seed) for seed in range(6)}
    assert found <= {"refused", "said", "same", "values changed"}
