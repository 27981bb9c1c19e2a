"""cohere-core, a widely used phasing program, run on the same data in the same process, for comparison.

cohere is optional (extra "peers") and never needed. Its objects are conjugated (its Fourier transform has the opposite
sign) and scaled so that Σ|ψ|² is the pattern's photons, as friedel's are. Its random start is drawn here, from the
distribution that cohere uses (uniform real and imaginary parts) but from a given seed. Unmeasured voxels are given to
it as zeros.
"""

import io
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import measured_from
from friedel.bcdi.records import Diffraction
from friedel.core.optional import load_optional

SCHEDULE = "3*(20*ER+180*HIO)+20*ER"
"""620 iterations: the sequence of cohere's own examples."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CohereResult:
    """One start of cohere.

    Attributes
    ----------
    object : (z, y, x) complex64
        Zero outside the support; in this package's convention.
    support : (z, y, x) bool
        Its support.
    chi : float
        χ over measured voxels, as for friedel.
    seconds, cpu_seconds : float
        Wall and CPU time of the iterations.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    chi: float
    seconds: float
    cpu_seconds: float


def cohere_installed() -> bool:
    """Return whether cohere-core can be run."""
    return find_spec("cohere_core") is not None


def run_cohere(
    diffraction: Diffraction,
    *,
    threshold: float,
    seed: int,
    schedule: str = SCHEDULE,
    shrink_every: int = 1,
) -> CohereResult:
    """Run one random start of cohere.

    Parameters
    ----------
    diffraction : Diffraction
        The data friedel gets; unmeasured voxels are set to zero.
    threshold : float
        Shrink-wrap threshold, a fraction of the smoothed maximum.
    seed : int
        Of the random start.
    schedule : str
        cohere's algorithm sequence.
    shrink_every : int
        Iterations between updates of the support; cohere's examples update it in every iteration.

    Raises
    ------
    MissingDependencyError
        Without cohere-core.
    """
    rec = _reconstructor(diffraction, schedule, threshold, shrink_every)
    rng = np.random.default_rng(seed)
    rec.ds_image = rng.random(rec.dims) + 1j * rng.random(rec.dims)
    with redirect_stdout(io.StringIO()):
        rec.init_iter_loop()
        rec.ds_image = rec.ds_image * rec.support
        wall, cpu = time.perf_counter(), time.process_time()
        rec.iterate()
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    support = np.asarray(rec.support, dtype=bool)
    obj = (np.conj(rec.ds_image) * support).astype(np.complex64)
    obj *= np.sqrt(diffraction.n_photons) / max(float(np.linalg.norm(obj)), 1e-30)
    chi = misfit(obj, diffraction)
    return CohereResult(object=obj, support=support, chi=chi, seconds=seconds, cpu_seconds=cpu_seconds)


def misfit(obj: NDArray[np.complex64], diffraction: Diffraction) -> float:
    """Return χ of an object ``(z, y, x)`` over the measured voxels, as friedel defines it."""
    return float(chi_of(torch.from_numpy(obj)[None], measured_from(diffraction))[0])


def _reconstructor(diffraction: Diffraction, schedule: str, threshold: float, shrink_every: int) -> Any:
    Rec = load_optional(
        "cohere_core.controller.phasing", package="cohere-core", extra="peers", purpose="run cohere beside friedel"
    ).Rec
    params = {
        "algorithm_sequence": schedule,
        "hio_beta": 0.9,
        "initial_support_area": (0.5, 0.5, 0.5),
        "shrink_wrap_trigger": [1, shrink_every],
        "shrink_wrap_type": "GAUSS",
        "shrink_wrap_threshold": threshold,
        "shrink_wrap_gauss_sigma": 1.0,
    }
    amplitude = np.sqrt(np.where(diffraction.mask, np.maximum(diffraction.intensities, 0.0), 0.0))
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        path = Path(folder) / "amplitude.npy"
        np.save(path, amplitude.astype(np.float32))
        rec = Rec(params, str(path), "np", debug=True)
        rec.init_dev(-1)
    return rec
