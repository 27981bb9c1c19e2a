"""Crystals made while learning: the same number is the same crystal, and it is what the options say."""

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.simulated import continuum_crystal
from friedel.bcdi.simulation.store import CrystalStore, StoreDescription, StoreWriter
from friedel.bcdi.training.patterns import VALIDATION, FreshBatches, PatternReader, crystal_pattern
from friedel.bcdi.training.plan import CrystalOptions, Curriculum, LossOptions
from friedel.core.errors import InputError, PlanError
from friedel.core.fourier import inverse_fourier

SMALL = CrystalOptions(size=16, oversampling=(1.5, 2.0), photons=(1e6, 1e6), gaps=0.0, coverage=(1.0, 1.0))


def test_number_seed_and_stream_decide_the_crystal():
    first, again = (crystal_pattern(5, SMALL, seed=3) for _ in range(2))
    assert np.array_equal(first.intensities, again.intensities)
    assert np.array_equal(first.diffraction, again.diffraction)
    for other in (
        crystal_pattern(6, SMALL, seed=3),
        crystal_pattern(5, SMALL, seed=4),
        crystal_pattern(5, SMALL, seed=3, stream=VALIDATION),
    ):
        assert not np.array_equal(first.intensities, other.intensities)


def test_the_photons_are_those_of_the_diffraction():
    pattern = crystal_pattern(1, SMALL, seed=1)
    assert pattern.measured.all()
    expected = np.abs(pattern.diffraction) ** 2
    assert expected.sum() == pytest.approx(1e6, rel=1e-3)
    deviance = (pattern.intensities - expected) / np.sqrt(np.maximum(expected, 1))
    assert np.sqrt((deviance[expected > 5] ** 2).mean()) == pytest.approx(1, abs=0.15)


def test_the_crystal_is_centred_to_a_fraction_of_a_voxel():
    for number in range(3):
        obj = inverse_fourier(torch.from_numpy(crystal_pattern(number, SMALL, seed=2).diffraction)).numpy()
        density = np.abs(obj) ** 2
        for axis in range(3):
            profile = density.sum(axis=tuple(other for other in range(3) if other != axis))
            assert (profile * (np.arange(16) - 8)).sum() / profile.sum() == pytest.approx(0, abs=0.1)


def test_a_measurement_may_have_gaps_and_edges():
    partly = SMALL.model_copy(update={"gaps": 1.0, "coverage": (0.5, 0.8)})
    for number in range(4):
        pattern = crystal_pattern(number, partly, seed=1)
        assert 0.05 < pattern.measured.mean() < 0.6
        assert (pattern.intensities[~pattern.measured] == 0).all()
        assert pattern.measured[8, 8, 8]


def test_a_batch_is_what_networks_are_shown():
    inputs, truth, measured = PatternReader(SMALL, 8, seed=1, stream=0)[np.array([4, 2])]
    assert inputs.shape == (2, 1, 16, 16, 16)
    assert truth.dtype == torch.complex64
    assert measured.shape == truth.shape == (2, 16, 16, 16)
    assert inputs.amax((1, 2, 3, 4)).tolist() == [1.0, 1.0]


def test_every_epoch_has_new_crystals():
    batches = FreshBatches(6, 2, seed=1)
    first = np.sort(np.concatenate(list(batches)))
    batches.set_epoch(2)
    third = np.sort(np.concatenate(list(batches)))
    assert first.tolist() == list(range(6))
    assert third.tolist() == list(range(12, 18))


def test_views_show_one_crystal_from_other_sides_with_noise_of_their_own():
    several = SMALL.model_copy(update={"symmetries": 8, "coverage": (0.8, 1.0)})
    patterns = [crystal_pattern(number, several, seed=3) for number in range(16, 24)]
    plain = _values(crystal_pattern(2, SMALL, seed=3))
    sides = set()
    for pattern in patterns:
        # A side keeps every value; only a flip's wrap-around moves the outermost.
        assert np.allclose(
            np.sort(np.abs(pattern.diffraction), axis=None), np.sort(np.abs(plain), axis=None), rtol=1e-4
        )
        obj = inverse_fourier(torch.from_numpy(pattern.diffraction)).numpy()
        assert np.abs((np.abs(obj) ** 2).sum((1, 2)) @ (np.arange(16) - 8)) / 1e6 < 0.1
        sides.add(np.abs(pattern.diffraction).tobytes())
    assert len(sides) > 4
    assert len({pattern.measured.tobytes() for pattern in patterns}) > 1
    noise = [pattern.intensities[8, 8, 8] for pattern in patterns]
    assert len(set(noise)) > 4
    assert not np.allclose(_values(crystal_pattern(24, several, seed=3)), plain, rtol=1e-2)


def _values(pattern):
    """Return what a turned pattern shares with the one before: its amplitudes, in order of size."""
    return np.sort(np.abs(pattern.diffraction), axis=None)


def test_crystals_to_measure_on_are_seen_once():
    several = SMALL.model_copy(update={"symmetries": 8})
    first, second = (crystal_pattern(number, several, seed=3, stream=VALIDATION) for number in (0, 1))
    again = crystal_pattern(1, SMALL, seed=3, stream=VALIDATION)
    assert np.array_equal(second.diffraction, again.diffraction)
    assert not np.allclose(first.diffraction, second.diffraction)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "crystals.h5"
    description = StoreDescription(n_crystals=10, voxels=16, plan="", fingerprint="one", version="0")
    made = continuum_crystal(CrystalRunOptions.read({"atoms": 700, "voxels": 16}), 1)
    with StoreWriter(path, description) as writer:
        for number in range(10):
            writer.write(number, made)
        writer.finish()
    return path


def test_stored_crystals_are_seen_in_other_ways_each_time(store):
    options = SMALL.model_copy(update={"store": store, "reflections": ((1, 1, 1),), "phase_range_rad": (1.0, 2.0)})
    first, again, other = (crystal_pattern(number, options, seed=1) for number in (1, 1, 2))
    assert np.array_equal(first.intensities, again.intensities)
    assert not np.array_equal(first.intensities, other.intensities)
    obj = inverse_fourier(torch.from_numpy(first.diffraction)).numpy()
    inside = np.abs(obj) > 0.6 * np.abs(obj).max()
    assert 0.03 < inside.mean() < 0.4
    assert 0.2 < np.ptp(np.angle(obj[inside] * np.conj(obj[inside].sum()))) < 3


def test_a_store_is_shared_out_to_training_and_measuring(store, monkeypatch):
    asked = []
    monkeypatch.setattr(CrystalStore, "__getitem__", _remembering(asked, CrystalStore.__getitem__))
    options = SMALL.model_copy(update={"store": store})
    for number in range(12):
        crystal_pattern(number, options, seed=1)
    assert set(asked) <= set(range(9))
    assert len(set(asked)) > 3
    asked.clear()
    crystal_pattern(1, options, seed=1, stream=VALIDATION)
    assert asked == [9]


def test_part_of_the_crystals_may_come_from_the_store(store, monkeypatch):
    asked = []
    monkeypatch.setattr(CrystalStore, "__getitem__", _remembering(asked, CrystalStore.__getitem__))
    options = SMALL.model_copy(update={"store": store, "stored_share": 0.3})
    for number in range(40):
        crystal_pattern(number, options, seed=1)
    assert 4 <= len(asked) <= 22


def _remembering(asked, read):
    def remember(self, index):
        asked.append(index)
        return read(self, index)

    return remember


def test_a_store_that_is_missing_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none\.h5"):
        crystal_pattern(1, SMALL.model_copy(update={"store": tmp_path / "none.h5"}), seed=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"oversampling": (2.0, 1.5)}, "lowest, highest"),
        ({"oversampling": (0.8, 1.5)}, "oversampling starts at 1"),
        ({"photons": (0, 10)}, "above 0"),
        ({"strains": ("wobbly",)}, "strains are among smooth"),
        ({"size": 20}, "multiple of 8"),
    ],
)
def test_options_that_make_no_sense_are_told(wrong, said):
    with pytest.raises(PlanError, match=said):
        CrystalOptions.read(wrong)


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(PlanError, match="nothing would be learnt"):
        LossOptions.read({"supervised": 0, "physics": 0})
    assert Curriculum().loss.supervised == 1
