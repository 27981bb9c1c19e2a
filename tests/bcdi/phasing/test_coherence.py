"""Partial coherence: a Gaussian blur of the intensities, known, fitted and undone."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from friedel.bcdi.forward.bragg import blur_by_coherence
from friedel.bcdi.phasing.iterations.iterate import chi_of, iterate, start_random
from friedel.bcdi.phasing.iterations.measured import measured_from, transfer, with_coherence
from friedel.bcdi.phasing.iterations.projections import intensity_of, project_modulus
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.records import Diffraction

WIDTHS = (0.8, 0.5, 0.3)


def test_the_transfer_function_is_a_gaussian_blur_of_the_widths() -> None:
    shape = (20, 24, 21)
    values = torch.zeros(shape)
    values[10, 12, 10] = 1.0
    wave = torch.view_as_complex(torch.stack([values.sqrt(), torch.zeros(shape)], -1))
    widths = torch.tensor([1.5, 1.0, 2.0])
    blurred = intensity_of(wave, transfer(widths, shape))
    expected = ndimage.gaussian_filter(values.double().numpy(), widths.tolist(), mode="wrap", truncate=6)
    np.testing.assert_allclose(blurred.numpy(), expected, atol=2e-4)
    assert blurred.sum().item() == pytest.approx(1.0, rel=5e-3)
    assert torch.allclose(transfer(-widths, shape), transfer(widths, shape))
    assert torch.equal(transfer(torch.zeros(3), shape), torch.ones(20, 24, 11))


def blurred(truth) -> Diffraction:
    # A blur of σ voxels in reciprocal space is a coherence length of N / 2πσ voxels.
    shape = truth.support.shape
    lengths = tuple(n / (2 * np.pi * width) for n, width in zip(shape, WIDTHS, strict=True))
    values = blur_by_coherence(truth.diffraction.intensities, lengths)
    return Diffraction(intensities=values, mask=truth.diffraction.mask)


def test_the_truth_fits_a_blurred_pattern_once_the_blur_is_known(truth) -> None:
    measured = measured_from(blurred(truth))
    known = with_coherence(measured, torch.tensor(WIDTHS))
    assert chi_of(truth.obj, measured).item() > 0.05
    assert chi_of(truth.obj, known).item() < 2e-3
    again = project_modulus(truth.obj, known)
    assert torch.linalg.vector_norm(again - truth.obj) < 5e-3 * torch.linalg.vector_norm(truth.obj)


def test_refinement_finds_the_widths(truth) -> None:
    measured = measured_from(blurred(truth))
    start = torch.tensor([0.4, 0.4, 0.4])
    options = RefineOptions(steps=60, early_stop=False)
    refined = refine(truth.obj[0], truth.support, measured, options, coherence=start)
    assert refined.coherence is not None
    np.testing.assert_allclose(refined.coherence.numpy(), WIDTHS, atol=0.05)


def test_the_object_is_refined_beside_the_widths(truth) -> None:
    measured = measured_from(blurred(truth))
    plain = RefineOptions(steps=60, early_stop=False)
    bent = refine(truth.obj[0], truth.support, measured, plain).obj
    both = refine(bent, truth.support, measured, plain, coherence=torch.full((3,), 0.3))
    assert both.coherence is not None
    np.testing.assert_allclose(both.coherence.numpy(), WIDTHS, atol=0.1)
    before, after = (float(_phase_error(one, truth)) for one in (bent, both.obj))
    assert after < 0.5 * before


def _phase_error(obj: torch.Tensor, truth) -> torch.Tensor:
    """RMS phase difference, weighted by the true density, less a global phase."""
    other = obj * truth.obj[0].conj()
    change = (other * (other.sum().conj() / other.sum().abs())).angle()
    weight = truth.obj[0].abs().square()
    return ((change.square() * weight).sum() / weight.sum()).sqrt()


def test_a_blurs_ringing_beside_the_peak_blows_nothing_up(truth) -> None:
    measured = with_coherence(measured_from(blurred(truth)), torch.tensor([0.3, 0.2, 0.25]))
    state = iterate(start_random(measured, truth.support, n_starts=2, seed=0), measured, (("RAAR", 60), ("ER", 5)))
    assert torch.all(torch.isfinite(torch.view_as_real(state.confined)))
    assert torch.all(chi_of(state.confined, measured) < 0.6)
