"""A merged intensity that grows with the hits: nearer to the truth with each doubling, and as the batch at the end."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tiny_particle import tiny_data, true_intensity

from friedel.core.errors import InputError
from friedel.spi.orient.align import align, shell_correlation, turned
from friedel.spi.orient.growing import GrowingMerge
from friedel.spi.orient.quality import DOUBTED
from friedel.spi.orient.rings import Pixels


def against_truth(intensity, data):
    truth = torch.from_numpy(true_intensity(data, intensity.shape[0])).float()
    found = torch.from_numpy(intensity)
    shells = shell_correlation(truth, turned(found, align(truth, found, q_min=3, q_max=14)), 15)
    return float(np.nanmean(shells[3:]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_grows_is_right_or_says_that_its_halves_disagree(seed):
    data = tiny_data(seed, n_frames=330, photons=800, sigma=0.2)
    growing = GrowingMerge(Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float)), first=150)
    frames, grown = sp.csr_matrix(data.frames.astype(np.float32)), []
    for start, end in ((0, 100), (100, 180), (180, 250), (250, 310), (310, 330)):
        growing.add(frames[start:end])
        grown.append(growing.step())
    assert [None if one is None else one.n_frames for one in grown] == [None, 180, 250, 310, None]
    assert growing.waiting == 20  # too few for an update
    last = grown[3]
    assert len(last.views) == 155  # of the first half's frames
    np.testing.assert_allclose(np.linalg.norm(last.views, axis=1), 1, atol=1e-5)
    found = against_truth(last.intensity, data)
    if last.quality.agreement < DOUBTED:
        assert "don't agree yet" in last.sentence
    else:
        assert found > 0.9
        assert found == pytest.approx(last.quality.mean_corrected, abs=0.06)
        assert last.quality.mean_corrected < last.expected <= 1


def test_what_doesn_t_fit_the_detector_is_refused_and_empty_frames_are_left_out():
    data = tiny_data(3, n_frames=10)
    growing = GrowingMerge(Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float)))
    with pytest.raises(InputError, match="detector"):
        growing.add(sp.csr_matrix((4, 7), dtype=np.float32))
    growing.add(sp.csr_matrix((5, len(data.detector.q)), dtype=np.float32))
    growing.add(sp.csr_matrix(data.frames.astype(np.float32)))
    assert growing.n_frames == growing.waiting == 10
    assert growing.step() is None
