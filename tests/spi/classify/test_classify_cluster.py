"""Many files through Dask give what one process gives."""

import sys

import numpy as np
import pytest

from friedel.core.machine.cluster import ClusterOptions
from friedel.core.observer import Progress
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.files import FrameFiles
from friedel.spi.records import HitScores


class Brightness:
    """Scores a frame by its mean: nothing that couldn't travel to another process."""

    name = "brightness 0000"

    def measure(self, frames, mask):
        return float(frames.max())

    def score(self, frames, mask, *, run):
        single = (frames.mean(axis=(1, 2)) / run).astype(np.float32)
        flags = np.zeros(len(frames), bool)
        return HitScores(
            single=single, fringes=single, out_of_distribution=single, reject_band=flags, good=single > 0.2,
            status=np.zeros(len(frames), np.uint8), model=self.name,
        )  # fmt: skip


@pytest.mark.filterwarnings("default")  # what Dask's own start-up warns of is not ours
def test_files_scored_by_workers_are_the_same_and_not_scored_again(numbered, tmp_path):
    cloudpickle = pytest.importorskip("distributed.protocol.pickle").cloudpickle
    cloudpickle.register_pickle_by_value(sys.modules[Brightness.__module__])
    paths = tuple(tmp_path / f"run{number}.npy" for number in range(3))
    for number, path in enumerate(paths):
        np.save(path, numbered(25, first=25 * number))
    plan, events = ClassifyPlan(frames=FrameFiles(paths=paths)), []
    alone = run_classification(plan, tmp_path / "alone", model=Brightness())
    spread = plan.model_copy(update={"cluster": ClusterOptions(workers=2)})
    together = run_classification(spread, tmp_path / "together", model=Brightness(), observer=events.append)
    np.testing.assert_array_equal(alone.run.scores.single, together.run.scores.single)
    assert together.n_new == 75
    files = [event for event in events if isinstance(event, Progress) and event.task == "scoring files"]
    assert [event.done for event in files] == [1, 2, 3]
    assert run_classification(plan, tmp_path / "together", model=Brightness()).n_new == 0
