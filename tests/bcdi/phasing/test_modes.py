"""Modes over solutions: orthogonal, complete, and the first is what they share."""

import numpy as np
import pytest

from friedel.bcdi.phasing.verdict.modes import modes


def test_equal_solutions_have_one_mode() -> None:
    obj = np.exp(1j * np.random.default_rng(0).uniform(size=(6, 7, 8))).astype(np.complex64)
    found, fractions = modes([obj, obj, obj])
    assert fractions[0] == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(found[0], obj, rtol=1e-4)


def test_modes_are_orthogonal_ordered_and_share_out_the_power() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(6, 7, 8)) + 1j * rng.normal(size=(6, 7, 8))
    objects = [
        (shared + 0.3 * (rng.normal(size=shared.shape) + 1j * rng.normal(size=shared.shape))).astype(np.complex64)
        for _ in range(4)
    ]
    found, fractions = modes(objects)
    assert sum(fractions) == pytest.approx(1.0, abs=1e-5)
    assert list(fractions) == sorted(fractions, reverse=True)
    gram = np.array([[np.vdot(a, b) for b in found] for a in found])
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-4 * np.abs(gram).max()
    power = np.mean([np.linalg.norm(obj) ** 2 for obj in objects])
    np.testing.assert_allclose(np.diag(gram).real / power, fractions, rtol=1e-3)

    # The first is nearer to what they share than any one of them.
    def off(obj: np.ndarray) -> float:
        return float(1 - abs(np.vdot(obj, shared)) / np.linalg.norm(obj) / np.linalg.norm(shared))

    assert off(found[0]) < min(off(obj) for obj in objects)


def test_one_solution_is_its_own_mode() -> None:
    obj = np.ones((4, 4, 4), dtype=np.complex64) * np.complex64(1j)
    found, fractions = modes([obj])
    assert fractions == pytest.approx((1.0,))
    np.testing.assert_allclose(found[0], obj, rtol=1e-5)
