import numpy as np
import pytest
from tiny_particle import tiny_data

import friedel
from friedel.core.observer import Progress


class KilledError(Exception):
    pass


def test_a_merge_that_was_killed_goes_on_and_gives_the_same(tmp_path):
    """KilledError in the middle of the march: what was kept is used, and the result is the uninterrupted one."""
    data = tiny_data(2, n_frames=120, photons=500)
    steps: list[float] = []

    def killer(event):
        if isinstance(event, Progress):
            steps.append(event.figures["q"])
            if len(set(steps)) == 3:
                raise KilledError

    with pytest.raises(KilledError):
        friedel.merge(data.frames, data.detector, checkpoints=tmp_path / "c", observer=killer)
    kept = list((tmp_path / "c").rglob("*.npz"))
    assert kept
    kept[0].write_bytes(kept[0].read_bytes()[:200])  # one that was cut off is made again
    again: list = []
    whole_steps: list = []
    resumed = friedel.merge(data.frames, data.detector, checkpoints=tmp_path / "c", observer=again.append)
    whole = friedel.merge(data.frames, data.detector, observer=whole_steps.append)
    assert len(again) < len(whole_steps)
    np.testing.assert_allclose(resumed.intensity, whole.intensity, rtol=1e-4, atol=1e-4 * whole.intensity.max())
    assert not (tmp_path / "c").exists()
