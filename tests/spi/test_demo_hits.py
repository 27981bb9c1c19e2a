"""The single-hit half of the demo at a small size, with a stand-in that goes by the truth."""

import h5py
import numpy as np

from friedel.spi.demo import run_hits_demo
from friedel.spi.records import HitScores
from friedel.spi.simulation.layout import read_truth


class ByPhotons:
    """Calls the brighter half of each batch hits."""

    name = "by photons"

    def measure(self, frames, mask):
        return float(np.median(frames.sum(axis=(1, 2))))

    def score(self, frames, mask, *, run):
        bright = frames.sum(axis=(1, 2)) > run
        flags, n = np.zeros(len(frames), bool), len(frames)
        single = bright.astype(np.float32)
        return HitScores(
            single=single, fringes=single, out_of_distribution=single, reject_band=flags, good=bright,
            status=np.zeros(n, np.uint8), model=self.name,
        )  # fmt: skip


def test_a_run_is_simulated_classified_and_compared_with_the_truth(tmp_path):
    demo = run_hits_demo(tmp_path / "hits", seed=3, frames=24, model=ByPhotons())
    assert {"run.cxi", "report.html", "selection.cxi"} <= {path.name for path in (tmp_path / "hits").iterdir()}
    single = read_truth(tmp_path / "hits" / "run.cxi", "single").astype(bool)
    chosen = demo.result.run.selected
    assert demo.precision == (single & chosen).sum() / chosen.sum()
    assert demo.recall == (single & chosen).sum() / single.sum()
    with h5py.File(tmp_path / "hits" / "selection.cxi") as file:
        assert len(file["entry_1/data_1/data"]) == chosen.sum()
