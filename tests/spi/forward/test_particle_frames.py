"""Simulated frames of single particles: physics of the light, truth of the labels, the same bits from the same seed."""

import numpy as np
import pytest

from friedel.core.errors import InputError, PlanError
from friedel.spi.forward.frames import ParticleRunOptions, expected_sphere, simulate_frames
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.forward.scene import Kind

SMALL = ParticleRunOptions(frame_shape=(64, 64), chunk=8, pixel_size_m=1.2e-3, fluence_photons_per_um2=1e11)


def changed(**values: object) -> ParticleRunOptions:
    return SMALL.model_copy(update=values)


def test_the_same_seed_gives_the_same_bits_and_another_chunk_others() -> None:
    one, again, other = simulate_frames(SMALL, 3), simulate_frames(SMALL, 3), simulate_frames(SMALL, 4)
    assert np.array_equal(one.frames, again.frames)
    assert np.array_equal(one.kind, again.kind)
    assert not np.array_equal(one.frames, other.frames)


def test_a_spheres_photons_follow_fluence_times_cross_section() -> None:
    options = changed(particles=("sphere",), single_fraction=1.0, faintest=1.0, diameter_spread=0.0)
    made = simulate_frames(options, 0)
    expected = expected_sphere(options).sum()
    assert made.photons == pytest.approx(expected, rel=0.02)
    assert made.frames.sum(axis=(1, 2)) == pytest.approx(expected, rel=0.1)


def test_photons_grow_with_fluence_and_with_the_density_squared() -> None:
    base = expected_sphere(SMALL).sum()
    assert expected_sphere(changed(fluence_photons_per_um2=2e11)).sum() == pytest.approx(2 * base, rel=1e-5)
    assert expected_sphere(changed(electron_density_per_nm3=860.0)).sum() == pytest.approx(4 * base, rel=1e-5)


def test_labels_tell_what_the_bodies_are() -> None:
    made = simulate_frames(changed(chunk=64), 0)
    assert np.array_equal(made.single, made.kind == "single")
    assert (made.bodies[made.single] == 1).all()
    assert (made.bodies[made.kind == "several"] >= 2).all()
    assert (made.bodies[made.kind == "empty"] == 0).all()
    assert np.isnan(made.diameter_nm[made.bodies == 0]).all()
    assert np.isfinite(made.quaternion[made.bodies > 0]).all()


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_can_be_made_alone(kind: Kind) -> None:
    alone = changed(single_fraction=float(kind is Kind.SINGLE), bad_kinds={kind: 1.0})
    made = simulate_frames(alone, 0)
    assert (made.kind == kind.value).all()
    assert made.frames.dtype == np.uint16


def test_two_particles_far_apart_interfere() -> None:
    options = changed(
        particles=("sphere",), bad_kinds={Kind.SEVERAL: 1.0}, single_fraction=0.0, pixel_size_m=3e-4, chunk=4
    )
    made = simulate_frames(options, 1)
    single = simulate_frames(options.model_copy(update={"single_fraction": 1.0}), 1)

    def roughness(frames: np.ndarray) -> np.ndarray:
        inner = frames[:, 16:48, 16:48].astype(float)
        return np.abs(np.diff(inner, axis=2)).sum((1, 2)) / inner.sum((1, 2))

    assert roughness(made.frames).mean() > 1.5 * roughness(single.frames).mean()


def test_masked_pixels_stay_dark_and_wrong_masks_are_told() -> None:
    mask = np.ones((64, 64), dtype=bool)
    mask[30:34] = False
    assert (simulate_frames(SMALL, 0, mask=mask).frames[:, 30:34] == 0).all()
    with pytest.raises(InputError, match=r"mask \(32, 32\) doesn't fit"):
        simulate_frames(SMALL, 0, mask=np.ones((32, 32), dtype=bool))
    with pytest.raises(InputError, match="no pixel"):
        simulate_frames(SMALL, 0, mask=np.zeros((64, 64), dtype=bool))
    with pytest.raises(InputError, match="bad_kinds"):
        simulate_frames(changed(bad_kinds={}), 0)


def test_options_out_of_range_are_told() -> None:
    with pytest.raises(PlanError, match="photon_energy_ev"):
        ParticleRunOptions.read({"photon_energy_ev": -1})


def test_every_artefact_shows_in_the_frames() -> None:
    quiet = changed(bad_kinds={Kind.EMPTY: 1.0}, single_fraction=0.0)

    def frames(**faults: object) -> np.ndarray:
        return simulate_frames(quiet.model_copy(update={"readout": ReadoutOptions(**faults)}), 0).frames.astype(float)

    assert frames().sum() == 0
    assert frames(flat_background_photons=0.5).mean() == pytest.approx(0.5, rel=0.05)
    assert frames(background_photons=5.0)[:, 32, 32].mean() > frames(background_photons=5.0)[:, 0, 0].mean()
    assert frames(hot_fraction=0.01).max() >= 5
    assert frames(read_noise_photons=0.5, adu_per_photon=10.0).std() == pytest.approx(5.0, rel=0.05)
    striped = frames(common_mode_photons=1.0, adu_per_photon=1.0)
    assert np.ptp(striped[0, 0, :32]) == 0
    assert striped[:, :, 0].std() == pytest.approx(1.0, rel=0.2)
    noisy = frames(flat_background_photons=100.0, gain_spread=0.1)
    assert noisy.mean(0).std() > 2 * frames(flat_background_photons=100.0).mean(0).std()
    spilled = frames(flat_background_photons=100.0, background_photons=300.0, saturation_photons=200.0)
    assert spilled.max() <= 300
    assert frames(flat_background_photons=50.0, dead_fraction=0.05).min() == 0
