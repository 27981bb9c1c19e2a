"""The second family: fits its sphere, has the range asked for, and comes back from its seed."""

import numpy as np
import pytest

from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.core.errors import InputError


@pytest.mark.parametrize("shape", [(32, 32, 32), (25, 30, 36)])
@pytest.mark.parametrize("ratio", [1.2, 2.0])
def test_it_lies_within_the_sphere_asked_for(shape, ratio):
    obj = wavy_crystal(shape, seed=4, over_sphere=ratio)
    for axis, n in enumerate(shape):
        others = tuple(k for k in range(3) if k != axis)
        filled = int((np.abs(obj) > 0).any(axis=others).sum())
        assert 0.6 * n / ratio < filled <= n / ratio + 2


def test_range_and_seed_decide_it():
    obj = wavy_crystal((32, 32, 32), seed=1, phase_range_rad=3.0)
    phases = np.angle(obj[np.abs(obj) > 0])
    assert np.ptp(phases) == pytest.approx(3.0, abs=1e-5)
    assert np.array_equal(obj, wavy_crystal((32, 32, 32), seed=1, phase_range_rad=3.0))
    assert not np.array_equal(obj, wavy_crystal((32, 32, 32), seed=2, phase_range_rad=3.0))
    assert np.abs(obj).max() == pytest.approx(1.0, abs=1e-6)


def test_a_sphere_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"over_sphere is 0\.9"):
        wavy_crystal((32, 32, 32), seed=1, over_sphere=0.9)
