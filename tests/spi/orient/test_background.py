import numpy as np
import pytest
import scipy.sparse as sp
from tiny_particle import tiny_data, true_intensity

import friedel
from friedel.core.errors import InputError
from friedel.spi.orient.background import with_background
from friedel.spi.orient.rings import Pixels, lay_rings, ring_frames


def flat_background(data, photons):
    used = data.detector.mask == 0
    return photons * used / used.sum()


@pytest.fixture(scope="module")
def data():
    return tiny_data(11, n_frames=400, photons=500, sigma=0.4)


def test_the_share_of_the_background_is_found_frame_by_frame(data):
    """Shots of different fluence with a background of constant and of varying strength."""
    rng = np.random.default_rng(0)
    pixels = Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float))
    background, fluence = flat_background(data, 200.0), data.fluence / data.fluence.mean()
    for scale, least in ((np.ones(400), 0.75), (rng.uniform(0.3, 1.7, 400), 0.6)):
        photons = data.frames + rng.poisson(scale[:, None] * background)
        frames = ring_frames(sp.csr_matrix(photons), pixels, lay_rings(pixels, band=0.3))
        found = with_background(frames, background, pixels, extent=0.25)
        assert np.corrcoef(np.log(found.share.numpy()), np.log(scale / fluence))[0, 1] > least
        total = float((found.background * found.weights[0].real).sum())
        assert total == pytest.approx(200, rel=0.05)


def test_blanks_take_the_background_out_of_the_intensity(data):
    rng = np.random.default_rng(1)
    background = flat_background(data, 200.0)
    frames = data.frames + rng.poisson(np.tile(background, (400, 1)))
    blanks = rng.poisson(np.tile(background, (100, 1)))
    truth = true_intensity(data, 35)
    radius = np.sqrt(((np.indices(truth.shape) - 17) ** 2).sum(0))
    outer, inner = (radius > 10) & (radius < 14), (radius > 3) & (radius < 8)
    ratios = []
    for given in (blanks, None):
        merged = friedel.merge(frames, data.detector, blanks=given)
        assert merged.quality.verdict != "don't trust"
        assert merged.intensity.shape == truth.shape
        fall = merged.intensity[outer].mean() / merged.intensity[inner].mean()
        ratios.append(fall / (truth[outer].mean() / truth[inner].mean()))
    assert ratios[0] == pytest.approx(1, abs=0.15)
    assert ratios[1] > 1.12 * ratios[0]


def test_blanks_brighter_than_hits_are_refused(data):
    with pytest.raises(InputError, match="brighter"):
        friedel.merge(data.frames, data.detector, blanks=np.tile(flat_background(data, 2000.0), (5, 1)))
    with pytest.raises(InputError, match="don't fit"):
        friedel.merge(data.frames, data.detector, blanks=np.ones((5, 7)))
