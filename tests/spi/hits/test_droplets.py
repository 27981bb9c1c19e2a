"""Droplets: their patterns are round, whatever the detector adds, and the main mode leaves them out of any run."""

import numpy as np
import pytest
import torch

from friedel.spi.forward.frames import ParticleRunOptions, simulate_frames
from friedel.spi.forward.readout import ReadoutOptions
from friedel.spi.forward.scene import Kind
from friedel.spi.hits.features.polar import polar_sums
from friedel.spi.hits.preparation.prepare import RunConstants, prepare
from friedel.spi.hits.selection import of_the_main_mode
from friedel.spi.hits.sizes.droplets import ROUND, are_droplets
from friedel.spi.hits.sizes.roundness import unround

Y, X = np.indices((128, 128)) - 64
MASK = (np.hypot(Y, X) > 4) & (np.abs(Y) > 1)
CLEAN = ReadoutOptions(background_photons=0.02)


def roundness(shape: str, fluence: float, readout: ReadoutOptions, *, single: float, seed: int) -> torch.Tensor:
    """Return `unround` of particles, or of droplets where no frame is a particle's."""
    options = ParticleRunOptions(
        particles=(shape,),
        diameter_nm=150,
        frame_shape=(128, 128),
        fluence_photons_per_um2=fluence,
        single_fraction=single,
        bad_kinds={Kind.DROPLET: 1.0},
        faintest=0.5,
        chunk=24,
        readout=readout,
        seed=seed,
    )
    made = simulate_frames(options, 0, mask=MASK)
    return unround(polar_sums(prepare(made.frames, MASK, RunConstants(binning=1, centre=(64, 64)))))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "readout",
    [
        CLEAN,
        ReadoutOptions(background_photons=0.3, centre_jitter_px=0.5),
        ReadoutOptions(gain_spread=0.05, read_noise_photons=0.3, fringe_blur=0.4),
    ],
    ids=["clean", "off the centre", "noisy"],
)
def test_a_droplet_is_round_whatever_its_size(readout: ReadoutOptions, seed: int) -> None:
    found = roundness("sphere", 2e10, readout, single=0.0, seed=seed)
    assert float((found < ROUND).float().mean()) > 0.9
    assert abs(float(found.median())) < 1.5


@pytest.mark.parametrize("shape", ["icosahedron", "cube", "rod"])
def test_facets_and_arms_are_not(shape: str) -> None:
    found = roundness(shape, 2e10, CLEAN, single=1.0, seed=1)
    assert float((found > ROUND).float().mean()) > 0.9


def test_a_weak_pattern_tells_less() -> None:
    bright, weak = (float(roundness("icosahedron", f, CLEAN, single=1.0, seed=1).median()) for f in (2e10, 2e8))
    assert weak < 0.3 * bright
    none = prepare(np.zeros((0, 128, 128)), MASK, RunConstants(binning=1, centre=(64, 64)))
    assert not len(unround(polar_sums(none)))


def mixture(rng: np.random.Generator, kinds: str) -> tuple[np.ndarray, ...]:
    """Return size, asphericity and `unround` of hits, and which are droplets."""
    made = {
        "facetted": (6.0 * np.exp(rng.normal(0, 0.03, 60)), rng.uniform(0, 0.03, 60), rng.uniform(5, 50, 60)),
        "nearly round": (5.0 * np.exp(rng.normal(0, 0.04, 40)), rng.uniform(0, 0.03, 40), rng.normal(2.5, 2, 40)),
        "long": (np.exp(rng.uniform(0.7, 1.4, 40)), rng.uniform(0.3, 0.7, 40), rng.uniform(50, 500, 40)),
        "balls": (9.0 * np.exp(rng.normal(0, 0.03, 60)), rng.uniform(0, 0.03, 60), rng.normal(0, 1, 60)),
        "droplets": (np.exp(rng.uniform(0.8, 2.7, 30)), rng.uniform(0, 0.03, 30), rng.normal(0, 1, 30)),
    }
    parts = [made[kind] for kind in (*kinds.split(", "), "droplets")]
    columns = [np.concatenate([part[k] for part in parts]).astype(np.float32) for k in range(3)]
    return *columns, np.arange(len(columns[0])) >= len(columns[0]) - 30


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", ["facetted", "balls", "facetted, nearly round, long", "long, balls"])
def test_droplets_are_told_from_particles_of_any_kind(kinds: str, seed: int) -> None:
    *columns, droplet = mixture(np.random.default_rng(seed), kinds)
    kept = of_the_main_mode(*columns)
    assert kept[~droplet].mean() > 0.9
    assert kept[droplet].mean() < 0.35


def test_round_bodies_of_any_size_are_particles_where_there_is_nothing_else() -> None:
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(0.8, 3.0, 80))
    assert not are_droplets(sizes, np.full(80, 0.01), rng.normal(0, 1, 80)).any()
    assert not are_droplets(sizes[:5], np.full(5, 0.01), np.zeros(5)).any()
