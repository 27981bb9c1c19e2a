"""Shift, twin and global phase: undone against a reference, and brought to the one convention."""

import numpy as np
import pytest

from friedel.bcdi.phasing.ambiguities import align_to, canonical, inverted, phase_difference_rad, shifted, twin
from friedel.core.fourier import fourier_corner


def numpy_of(truth) -> tuple[np.ndarray, np.ndarray]:
    return truth.obj[0].numpy(), truth.support.numpy()


def intensities(truth, obj: np.ndarray) -> np.ndarray:
    return fourier_corner(truth.obj.new_tensor(obj)).abs().square().numpy()


@pytest.mark.parametrize("ambiguous", ["twin", "shift", "phase"])
def test_what_intensities_cannot_tell_leaves_them_as_they_are(truth, ambiguous: str) -> None:
    obj, _ = numpy_of(truth)
    other = {"twin": twin(obj), "shift": shifted(obj, (0.3, -1.6, 2.0)), "phase": obj * np.exp(0.7j)}[ambiguous]
    before, after = intensities(truth, obj), intensities(truth, other)
    # A fractional shift of an even axis has no place for its highest frequency; it is left out of the comparison.
    edges = np.ones(obj.shape, dtype=bool)
    for axis, n in enumerate(obj.shape):
        np.moveaxis(edges, axis, 0)[n // 2] = False
    np.testing.assert_allclose(after[edges], before[edges], atol=2e-6 * before.max())


def test_inverting_twice_changes_nothing_and_keeps_the_centre(truth) -> None:
    obj, _ = numpy_of(truth)
    assert np.array_equal(inverted(inverted(obj)), obj)
    centre = tuple(n // 2 for n in obj.shape)
    assert inverted(obj)[centre] == obj[centre]


def test_a_whole_shift_is_a_roll(truth) -> None:
    obj, _ = numpy_of(truth)
    rolled = np.roll(obj, (2, -3, 1), axis=(0, 1, 2))
    np.testing.assert_allclose(shifted(obj, (2, -3, 1)), rolled, atol=1e-4 * np.abs(obj).max())


@pytest.mark.parametrize("as_twin", [False, True])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (2.0, -1.0, 3.0), (0.4, -1.7, 2.26)])
def test_alignment_undoes_every_ambiguity_at_once(truth, as_twin: bool, shift: tuple[float, float, float]) -> None:
    obj, support = numpy_of(truth)
    hidden = shifted(twin(obj) if as_twin else obj, shift) * np.exp(2.1j)
    aligned, correlation = align_to(hidden.astype(np.complex64), obj)
    assert correlation > 0.9985
    assert phase_difference_rad(aligned, obj, support) < 0.06
    assert abs(np.angle(np.vdot(obj, aligned))) < 1e-3


def test_alignment_does_not_flatter_another_object(truth) -> None:
    obj, support = numpy_of(truth)
    rng = np.random.default_rng(0)
    other = support * np.exp(1j * rng.uniform(-np.pi, np.pi, obj.shape)).astype(np.complex64)
    _, correlation = align_to(other, obj)
    assert correlation < 0.5


def test_the_convention_is_reached_from_every_disguise(truth) -> None:
    obj, support = numpy_of(truth)
    expected, its_support = canonical(obj, support)
    shift = (3, -2, 1)
    moved = np.roll(obj, shift, (0, 1, 2)) * np.exp(1.3j), np.roll(support, shift, (0, 1, 2))
    for other, where in (moved, (twin(obj), inverted(support))):
        found, found_support = canonical(other.astype(np.complex64), where)
        off = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        assert off < 1e-5
        assert np.array_equal(found_support, its_support)


def test_the_convention_is_what_the_conventions_page_says(truth) -> None:
    found, support = canonical(*numpy_of(truth))
    density = np.abs(found) ** 2
    centres = [float((density * axis).sum() / density.sum()) for axis in np.indices(found.shape)]
    assert all(abs(c - n // 2) <= 0.6 for c, n in zip(centres, found.shape, strict=True))
    mean = (np.abs(found) * found).sum()
    assert mean.real > 0
    assert abs(mean.imag) < 1e-5 * mean.real
    moments = []
    for axis, centre in zip(np.indices(found.shape), centres, strict=True):
        spread = (density * (axis - centre) ** 2).sum() / density.sum()
        moments.append((density * (axis - centre) ** 3).sum() / density.sum() / spread**1.5)
    assert max(moments, key=abs) > 0
    assert np.all(support[np.abs(found) > 0])


def test_the_phase_difference_ignores_a_global_phase(truth) -> None:
    obj, support = numpy_of(truth)
    assert phase_difference_rad(obj * np.exp(1j), obj, support) < 1e-4
    wave = 0.2 * np.where(np.indices(obj.shape).sum(0) % 2, 1, -1)
    assert phase_difference_rad(obj * np.exp(1j * wave), obj, support) == pytest.approx(0.2, rel=0.1)
    assert phase_difference_rad(obj, obj, np.zeros_like(support)) == 0.0
