"""Several particles in one run."""

import csv

import numpy as np
import pytest
import scipy.sparse as sp
from tiny_particle import tiny_data

from friedel.core.errors import InputError, PlanError
from friedel.spi.frames.dragonfly import write_detector
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.merge.kinds import Kinds, sort_frames
from friedel.spi.merge.merge import run_merge
from friedel.spi.merge.plan import DensityOptions, MergePlan
from friedel.spi.orient.rings import Pixels


@pytest.fixture(scope="module")
def mixture():
    """Three frames of one particle for two of another."""
    parts = [tiny_data(seed, n_frames=n, photons=600) for seed, n in ((2, 150), (52, 100))]
    return np.concatenate([part.frames for part in parts]), np.repeat([0, 1], [150, 100]), parts[0].detector


def test_two_particles_are_told_apart_and_merged_each_by_itself(mixture, tmp_path):
    frames, truth, detector = mixture
    write_emc(tmp_path / "run.emc", map(sparse, frames), n_frames=len(frames), n_pixels=frames.shape[1])
    write_detector(tmp_path / "run_detector.h5", detector)
    plan = MergePlan(
        frames=(tmp_path / "run.emc",), models=2, starts=1, name_outliers=False, density=DensityOptions(write=False)
    )
    run = run_merge(plan, tmp_path / "out")
    with (tmp_path / "out" / "kinds.csv").open() as file:
        found = np.array([int(line["particle"]) - 1 for line in csv.DictReader(file)])
    assert (found == truth).mean() > 0.95  # the first is the most frequent
    assert len(run.others) == 1
    assert len(run.merged.used) == (found == 0).sum()
    for number in (1, 2):
        assert (tmp_path / "out" / f"particle_{number}" / "merged.h5").is_file()
    assert [one.merged.quality.verdict != "unknown" for one in (run, *run.others)] == [True, True]


def test_a_frame_that_fits_both_belongs_to_none():
    kinds = Kinds(share=np.array([[0.95, 0.05], [0.5, 0.5], [np.nan, np.nan], [0.0, 1.0]], np.float32))
    assert kinds.kind.tolist() == [0, -1, -1, 1]
    assert "2 are unsure" in kinds.sentence


def test_too_few_frames_for_several_particles_are_refused(mixture, tmp_path):
    frames, _, detector = mixture
    pixels = Pixels(q=detector.q, weight=(detector.mask == 0).astype(float))
    with pytest.raises(InputError, match="too few"):
        sort_frames(sp.csr_matrix(frames[:100].astype(np.float32)), pixels, 2)
    for name in ("a", "b"):
        write_emc(tmp_path / f"{name}.emc", map(sparse, frames[:50]), n_frames=50, n_pixels=frames.shape[1])
        write_detector(tmp_path / f"{name}.h5", detector)
    plan = MergePlan(
        frames=(tmp_path / "a.emc", tmp_path / "b.emc"), detectors=(tmp_path / "a.h5", tmp_path / "b.h5"), models=2
    )
    with pytest.raises(PlanError, match="one detector"):
        run_merge(plan, tmp_path / "out")
