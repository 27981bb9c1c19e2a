"""Which frames a user keeps: the default needs no hand, limits replace or narrow it."""

import numpy as np
import pytest

from friedel.core.errors import PlanError
from friedel.spi.hits.selection import SelectionOptions, select
from friedel.spi.records import FrameStatus, HitScores

SCORES = HitScores(
    single=np.array([0.95, 0.9, 0.5, 0.1, 0.99], np.float32),
    fringes=np.array([9.0, 1.0, 9.0, 9.0, 9.0], np.float32),
    out_of_distribution=np.array([0.2, 0.2, 0.2, 0.2, 3.0], np.float32),
    reject_band=np.array([False, False, True, False, False]),
    good=np.array([True, False, False, False, True]),
    status=np.zeros(5, np.uint8),
)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [0, 4]),
        ({"single": 0.85}, [0, 1, 4]),
        ({"single": 0.4, "fringes": 5.0}, [0, 2, 4]),
        ({"single": 0.4, "fringes": 5.0, "reject_band": False}, [0, 4]),
        ({"out_of_distribution": 1.0}, [0]),
    ],
)
def test_limits_replace_or_narrow_the_default(options, kept):
    assert np.flatnonzero(select(SCORES, SelectionOptions.read(options))).tolist() == kept


@pytest.mark.parametrize("status", [FrameStatus.MASKED, FrameStatus.CONSTANT, FrameStatus.UNREADABLE])
def test_a_frame_without_a_score_is_never_selected(status):
    scores = HitScores(**{**vars(SCORES), "status": np.full(5, status, np.uint8)})
    assert not select(scores, SelectionOptions(single=0.0)).any()


def test_a_limit_beyond_its_range_is_refused():
    with pytest.raises(PlanError, match="single"):
        SelectionOptions.read({"single": 1.5})
