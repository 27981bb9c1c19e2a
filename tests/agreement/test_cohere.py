"""Step by step against cohere-core, an independent implementation of the same iterations.

cohere goes from object to detector with an unnormalised *inverse* FFT: its object is ours conjugated, over √N. Its
errors are squares of χ. RAAR isn't compared: inside the support cohere's differs from the published map.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.phasing.iterations.iterate import chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import bulk_amplitude, shrink_wrap
from friedel.bcdi.records import Diffraction
from friedel.core.fourier import fourier_corner

phasing = pytest.importorskip(
    "cohere_core.controller.phasing", reason="cohere-core is not installed (pip install 'friedel[peers]')"
)
SHAPE = (24, 20, 22)
N = int(np.prod(SHAPE))
FEEDBACK = 0.9


@pytest.fixture(scope="module")
def measured() -> Measured:
    crystal = random_crystal(SHAPE, seed=5, phase_range_rad=3.0, oversampling=2.5)
    intensities = diffract(crystal.object, n_photons=1e6, seed=0)
    return measured_from(Diffraction(intensities=intensities, mask=np.ones(SHAPE, dtype=bool)))


@pytest.fixture(scope="module")
def support() -> torch.Tensor:
    box = torch.zeros(SHAPE, dtype=torch.bool)
    box[6:18, 5:15, 5:16] = True
    return box


def cohere_after(schedule: str, measured: Measured, start: torch.Tensor, support: torch.Tensor, folder: Path) -> Any:
    """Return cohere's reconstructor after a schedule from our start ``(z, y, x)``."""
    np.save(folder / "amplitude.npy", np.fft.fftshift(measured.amplitude.double().numpy()))
    params = {"algorithm_sequence": schedule, "hio_beta": FEEDBACK, "initial_support_area": (0.5, 0.5, 0.5)}
    rec = phasing.Rec(params, str(folder / "amplitude.npy"), "np", debug=True)
    rec.ds_image = start.conj().to(torch.complex128).numpy() / np.sqrt(N)
    with redirect_stdout(io.StringIO()):
        rec.init_dev(-1)
        rec.init_iter_loop()
        rec.support = support.numpy().astype(float)
        for function in rec.flow:  # iterate() does this and then divides by the brightest voxel
            function()
    return rec


def ours(rec: Any) -> torch.Tensor:
    return torch.from_numpy(np.conj(rec.ds_image) * np.sqrt(N))


@pytest.mark.parametrize(("schedule", "tolerance"), [("1*ER", 2e-6), ("1*HIO", 2e-6), ("5*ER+10*HIO+5*ER", 1e-4)])
def test_the_same_start_leads_to_the_same_object(
    measured: Measured, support: torch.Tensor, tmp_path: Path, schedule: str, tolerance: float
) -> None:
    start = start_random(measured, support, n_starts=1, seed=1)
    rec = cohere_after(schedule, measured, start.obj[0], support, tmp_path)
    state = iterate(start_from(measured, start.obj, start.support), measured, parse_schedule(schedule), beta=FEEDBACK)
    difference = torch.linalg.vector_norm(state.obj[0] - ours(rec)) / torch.linalg.vector_norm(ours(rec))
    assert difference < tolerance


def test_coheres_error_is_our_chi_squared(measured: Measured, support: torch.Tensor, tmp_path: Path) -> None:
    start = start_random(measured, support, n_starts=1, seed=2).obj[0]
    modulus = fourier_corner(start).abs()
    start = start * (modulus * measured.amplitude).sum() / modulus.square().sum()  # cohere's error knows no scale
    rec = cohere_after("1*ER", measured, start, support, tmp_path)
    assert np.sqrt(rec.errs[0]) == pytest.approx(chi_of(start[None], measured).item(), rel=1e-4)


def test_shrink_wrap_agrees_once_both_thresholds_mean_the_same(measured: Measured, support: torch.Tensor) -> None:
    utilities = pytest.importorskip("cohere_core.utilities.dvc_utils")
    utilities.set_lib_from_pkg("np")
    start = start_random(measured, support, n_starts=1, seed=3)
    state = iterate(start, measured, parse_schedule("20*ER"))
    amplitude = state.confined.abs()
    smoothed = utilities.devlib.gaussian_filter(amplitude[0].double().numpy(), 1.0)
    bulk = bulk_amplitude(amplitude, state.support.float()).item()
    theirs = utilities.shrink_wrap(state.confined[0].numpy(), 0.2, 1.0).astype(bool)
    found = shrink_wrap(state.confined, state.support, threshold=0.2 * float(smoothed.max()) / bulk, sigma=1.0)[0]
    assert theirs.sum() > 100
    assert (found.numpy() != theirs).sum() <= 0.005 * theirs.sum()
