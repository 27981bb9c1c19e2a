"""The second domain: the same bits from its seed, exact amplitudes, and labels that match what scatters."""

import numpy as np
import pytest

from friedel.core import outlines
from friedel.spi.forward import independent
from friedel.spi.forward.independent import Beads, OtherDomainOptions, other_run

OPTIONS = OtherDomainOptions(frames=12, side=64)


def test_a_run_follows_from_seed_and_number():
    first, again, other = (other_run(OPTIONS, number) for number in (6, 6, 14))
    assert np.array_equal(first.frames, again.frames)
    assert not np.array_equal(first.frames, other.frames)
    assert first.particle == other.particle == "sphere"
    assert first.frames.shape == (12, 64, 64)
    assert np.array_equal(first.single, first.kind == "single")
    assert not first.frames[:, ~first.mask].any()


def test_every_built_in_particle_scatters_like_a_body_of_its_size():
    q = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9), [0.0]), axis=-1)[:, :, 0]
    for name, make in independent._BODIES:
        pattern = np.abs(make(np.random.default_rng(0))(q)) ** 2
        assert pattern[4, 4] == pytest.approx(pattern.max()), name
        assert pattern == pytest.approx(pattern[::-1, ::-1], rel=1e-6), name  # Friedel's law


def test_a_polyhedron_of_unit_radius_keeps_its_volume():
    shape = outlines.cube(2.0)
    amplitude = independent._polyhedron(shape)(np.zeros((1, 3)))[0]
    assert amplitude.real == pytest.approx(8 / 3**1.5)


def test_molecules_take_their_turn():
    rng = np.random.default_rng(3)
    pair = Beads(name="pair", positions=rng.normal(size=(900, 3)), weights=np.ones(900))
    assert other_run(OPTIONS, len(independent._BODIES), molecules=[pair]).particle == "pair"


def test_several_particles_interfere_and_one_does_not():
    options = OtherDomainOptions(frames=40, side=96, single_fraction=0.5, seed=3)
    run = other_run(options, 6)
    # A sphere's pattern is round: rows and columns through its centre look alike unless another body interferes.
    smooth = run.frames * run.mask
    alike = [np.corrcoef(frame.ravel(), frame.T.ravel())[0, 1] for frame in smooth]
    single, several = (np.mean(np.array(alike)[run.kind == kind]) for kind in ("single", "several"))
    assert single > several + 0.05
