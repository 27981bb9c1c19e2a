"""A beam that falls along the scan: the solution's own intensities show it, whatever the strain."""

import numpy as np
import pytest
from known_scan import EXPECTED, N
from scipy.ndimage import gaussian_filter

import friedel
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import expected_intensities
from friedel.bcdi.phasing.ambiguities import align_to, phase_difference_rad
from friedel.bcdi.phasing.verdict.beam import beam_drift, frame_light, steady_beam
from friedel.bcdi.records import Diffraction


def pattern(fall: float, seed: int, absorbed: float = 0.0) -> tuple[np.ndarray, Diffraction]:
    """Return a model that took a share of the fall in, and the measurement."""
    beam = np.linspace(1, fall, N)[:, None, None]
    photons = np.random.default_rng(seed).poisson(EXPECTED * beam).astype(np.float32)
    return (EXPECTED * beam**absorbed).astype(np.float32), Diffraction(
        intensities=photons, mask=np.ones(photons.shape, bool), grid=None
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_fall_shows_in_data_over_model_and_a_steady_beam_does_not(seed: int) -> None:
    assert steady_beam(*pattern(1.0, seed))[0]
    for fall, absorbed in ((0.8, 0.5), (0.5, 0.7), (1.6, 0.5)):
        passed, why = steady_beam(*pattern(fall, seed, absorbed))
        assert not passed
        assert why.startswith("beam: ")
        assert beam_drift(*pattern(fall, seed, absorbed))[0] == pytest.approx((1 - absorbed) * np.log(fall), rel=0.35)


def test_too_few_frames_tell_nothing() -> None:
    model, whole = pattern(0.5, 0)
    few = Diffraction(intensities=whole.intensities[20:28], mask=whole.mask[20:28], grid=None)
    assert steady_beam(model[20:28], few)[0]


@pytest.mark.parametrize("seed", range(4))
def test_frames_of_different_light_are_told_from_their_bright_and_their_dim_voxels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    light = np.exp(rng.normal(0, 0.08, N))
    photons = rng.poisson(EXPECTED * light[:, None, None]).astype(np.float32)
    model, everywhere = EXPECTED.astype(np.float32), np.ones(photons.shape, bool)
    found = frame_light(model, photons, everywhere)
    assert found is not None
    some = found != 1.0
    assert some.sum() >= 12
    assert np.corrcoef(np.log(found[some]), np.log(light[some]))[0, 1] > 0.9
    assert frame_light(model, rng.poisson(EXPECTED).astype(np.float32), everywhere) is None
    # A frame that wasn't measured has no light to tell, and nothing is divided by it.
    lost = everywhere.copy()
    lost[3] = False
    without = frame_light(model, photons, lost)
    assert without is not None
    assert without[3] == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_what_a_model_misses_and_a_steady_fall_are_no_change_of_light(seed: int) -> None:
    everywhere = np.ones(EXPECTED.shape, bool)
    blurred = gaussian_filter(EXPECTED, (0.5, 0.3, 0.3), mode="wrap")
    photons = np.random.default_rng(seed).poisson(blurred).astype(np.float32)
    assert frame_light(EXPECTED.astype(np.float32), photons, everywhere) is None
    falling = np.exp(np.linspace(0.3, -0.3, N))[:, None, None]
    photons = np.random.default_rng(seed).poisson(EXPECTED * falling).astype(np.float32)
    assert frame_light(EXPECTED.astype(np.float32), photons, everywhere) is None


def test_a_scan_with_a_falling_beam_is_not_trusted() -> None:
    beam = np.linspace(1, 0.5, N)[:, None, None]
    photons = np.random.default_rng(7).poisson(EXPECTED * beam)
    found = friedel.reconstruct(photons, seed=1)
    assert not found.quality.trusted
    assert any("use a monitor" in reason for reason in found.quality.reasons)


def test_a_beam_that_flickers_is_brought_to_one_light_where_photons_are_many() -> None:
    truth = wavy_crystal((32, 32, 32), seed=3)
    flicker = np.exp(np.random.default_rng(3).normal(0, 0.08, (32, 1, 1)))
    photons = np.random.default_rng(4).poisson(expected_intensities(truth, n_photons=1e7) * flicker)
    found = friedel.reconstruct(photons, seed=1)
    assert any(reason.startswith("light: ") for reason in found.quality.reasons)
    aligned, _ = align_to(found.object, truth)
    assert phase_difference_rad(aligned, truth, np.abs(truth) > 0.5) < 0.05
