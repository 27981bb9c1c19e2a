"""Sizes: spheres and spheroids are found within their errors, and modes part droplets from particles."""

import numpy as np
import pytest

from friedel.spi.forward.frames import ParticleRunOptions, simulate_frames
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.hits.features.polar import polar_sums
from friedel.spi.hits.preparation.prepare import RunConstants, prepare
from friedel.spi.hits.selection import SelectionOptions, precision_estimate, select
from friedel.spi.hits.sizes.modes import size_modes
from friedel.spi.hits.sizes.spheroid import measured_sizes
from friedel.spi.hits.sizes.units import in_nanometres
from friedel.spi.records import Beam, HitScores

Y, X = np.indices((128, 128)) - 64
MASK = (np.hypot(Y, X) > 4) & (np.abs(Y) > 1)


def spheroid(diameter: float, ratio: float, photons: float, angle: float = 0.4) -> np.ndarray:
    """Return the expected photons of a spheroid seen from the side: axes d √ratio and d/√ratio, image pixels."""
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    u = np.maximum(np.pi / 128 * diameter * np.hypot(along * ratio**0.5, across / ratio**0.5), 1e-2)
    light = (3 * (np.sin(u) - u * np.cos(u)) / u**3) ** 2
    return light * photons / (light * MASK).sum() + 0.01


def fitted(light: np.ndarray, n: int = 40, seed: int = 0):
    frames = np.random.default_rng(seed).poisson(light, (n, 128, 128)).astype(np.uint16)
    return measured_sizes(polar_sums(prepare(frames, MASK, RunConstants(binning=1, centre=(64, 64)))))


@pytest.mark.parametrize("diameter", [6.0, 11.0, 17.3, 26.0])
def test_a_sphere_s_diameter_is_found_within_its_error(diameter: float) -> None:
    found = fitted(spheroid(diameter, 1.0, 1e4))
    assert float(found.diameter.median()) == pytest.approx(diameter, rel=0.01)
    pulls = (found.diameter - diameter) / found.diameter_error
    assert float(pulls.std()) < 2
    assert float(found.asphericity.median()) < 0.03


def test_an_elongated_outline_has_its_axes() -> None:
    found = fitted(spheroid(12.0, 1.5, 3e4))
    assert float(found.asphericity.median()) == pytest.approx(1 / 3, abs=0.04)
    assert float(found.diameter.median()) == pytest.approx(12.0, rel=0.03)


def test_more_photons_make_smaller_errors_and_no_frames_no_sizes() -> None:
    weak, bright = (float(fitted(spheroid(12.0, 1.0, n)).diameter_error.median()) for n in (2e3, 2e4))
    assert bright < 0.7 * weak
    assert not len(fitted(spheroid(12.0, 1.0, 1e4), n=0).diameter)


# Radius of the sphere of equal volume over that of the enclosing sphere.
VOLUMES = {"sphere": 1.0, "icosahedron": 0.846, "soccer_ball": 0.954, "octahedron": 0.683}


@pytest.mark.parametrize("shape", VOLUMES)
def test_simulated_particles_have_the_diameter_of_the_sphere_of_their_volume_in_nm(shape: str) -> None:
    options = ParticleRunOptions(
        particles=(shape,),
        diameter_nm=150,
        diameter_spread=0.15,
        frame_shape=(128, 128),
        fluence_photons_per_um2=2e10,
        single_fraction=1.0,
        faintest=0.5,
        chunk=24,
        readout=ReadoutOptions(background_photons=0.02, centre_jitter_px=0.5),
        seed=4,
    )
    made = simulate_frames(options, 0, mask=MASK)
    sizes = measured_sizes(polar_sums(prepare(made.frames, MASK, RunConstants(binning=1, centre=(64, 64)))))
    beam = Beam(
        photon_energy_ev=options.photon_energy_ev, distance_m=options.distance_m, pixel_size_m=options.pixel_size_m
    )
    scores = in_nanometres(scores_of(sizes.diameter.numpy(), sizes.forward.numpy()), beam, made.frames.shape)
    ratio = np.nanmedian(scores.diameter / made.diameter_nm)
    assert ratio == pytest.approx(VOLUMES[shape], rel=0.03)
    assert scores.length_unit == "nm"
    # The beam at the particle, 0.5 to 1 times that of the focus.
    assert 0.4 < np.nanmedian(scores.fluence) / options.fluence_photons_per_um2 < 1.3


def scores_of(diameter: np.ndarray, fluence: np.ndarray | None = None) -> HitScores:
    n = len(diameter)
    return HitScores(
        single=np.linspace(0.9, 1, n, dtype=np.float32),
        fringes=np.full(n, 20, np.float32),
        out_of_distribution=np.zeros(n, np.float32),
        reject_band=np.zeros(n, bool),
        good=np.ones(n, bool),
        status=np.zeros(n, np.uint8),
        diameter=diameter.astype(np.float32),
        fluence=(diameter if fluence is None else fluence).astype(np.float32),
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_main_mode_leaves_droplets_and_dimers_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    particles = 12.0 * np.exp(rng.normal(0, 0.03, 150))
    dimers = 17.0 * np.exp(rng.normal(0, 0.04, 30))
    droplets = np.exp(rng.uniform(np.log(4), np.log(30), 40))
    scores = scores_of(np.concatenate([particles, dimers, droplets, [np.nan]]))
    modes = size_modes(scores.diameter)
    assert modes[0].diameter == pytest.approx(12.0, rel=0.02)
    assert modes[0].spread == pytest.approx(0.03, abs=0.015)
    kept = select(scores, SelectionOptions(mode="main"))
    assert kept[:150].mean() > 0.95
    assert not kept[150:180].any()
    assert kept[180:].mean() < 0.25
    ranged = select(scores, SelectionOptions(size=(15.0, 19.0)))
    assert ranged[150:180].mean() > 0.9
    assert not ranged[:150].any()


def test_too_few_sizes_have_no_mode_and_keep_every_frame() -> None:
    few = scores_of(np.array([5.0, 20.0, 11.0]))
    assert size_modes(few.diameter) == ()
    assert select(few, SelectionOptions(mode="main")).all()


def test_a_selection_s_precision_is_the_mean_of_its_probabilities() -> None:
    few = scores_of(np.array([5.0, 20.0, 11.0]))
    estimate = precision_estimate(few.single[[0, 2]], few.diameter[[0, 2]])
    assert estimate is not None
    assert estimate.value == pytest.approx(0.95)
    assert 0.3 < estimate.low < 0.9
    assert 0.95 < estimate.high < 1
    assert precision_estimate(few.single[:0], few.diameter[:0]) is None
