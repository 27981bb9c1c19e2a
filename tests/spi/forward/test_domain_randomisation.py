"""Made-up experiments: repeatable, and as wide as promised."""

import numpy as np

from friedel.spi.forward.domain_randomisation import draw_experiment, draw_mask
from friedel.spi.forward.frames import simulate_frames


def test_an_experiment_is_decided_by_its_seed() -> None:
    (one, mask), (again, mask_again) = draw_experiment(5), draw_experiment(5)
    assert one == again
    assert np.array_equal(mask, mask_again)
    assert draw_experiment(6)[0] != one


def test_fringes_are_resolved_and_photons_within_bounds() -> None:
    drawn = [draw_experiment(seed)[0] for seed in range(60)]
    periods = [options.geometry().fringe_period_px(10 * options.diameter_nm) for options in drawn]
    assert min(periods) > 3.9
    assert max(periods) < 43
    assert np.log(max(periods) / min(periods)) > 1.5
    assert any(options.readout.adu_per_photon for options in drawn)
    assert any(options.readout.adu_per_photon is None for options in drawn)


def test_masks_differ_and_leave_most_of_the_frame() -> None:
    rng = np.random.default_rng(0)
    masks = [draw_mask((128, 128), rng) for _ in range(50)]
    assert all(mask.mean() > 0.5 for mask in masks)
    assert sum(not mask[60:68, 60:68].all() for mask in masks) > 20
    assert any(mask.all() for mask in masks)


def test_an_experiment_can_be_simulated() -> None:
    options, mask = draw_experiment(1, chunk=4, frame_shape=(64, 64), particles=("torus",))
    made = simulate_frames(options, 0, mask=mask)
    assert made.particle == "torus"
    assert made.frames.shape == (4, 64, 64)
