"""cohere-core, the field's own program, run on the same data: the peer beside which the figures stand.

cohere's objects are conjugated and scaled to photons on the way out, so that both programs' results mean the same. Its
random start is drawn here, as it draws it itself but from a given seed. Voxels that weren't measured are zeros to it.
"""

import io
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from friedel.phasing.iterate import chi_of
from friedel.phasing.measured import measured_from
from friedel.records import Diffraction

SCHEDULE = "3*(20*ER+180*HIO)+20*ER"
"""620 iterations: the sequence of cohere's own examples."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PeerResult:
    """One start of cohere.

    Attributes
    ----------
    object : (z, y, x) complex64
        Zero outside the support; in this package's convention.
    support : (z, y, x) bool
        Its support.
    chi : float
        χ over measured voxels, as for friedel.
    cpu_seconds : float
        CPU time of the iterations.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    chi: float
    cpu_seconds: float


def available() -> bool:
    """Return whether cohere-core is installed; say how to install it if not."""
    try:
        import cohere_core.controller.phasing  # noqa: F401
    except ImportError:
        print("cohere-core is not installed: no peer beside the figures. pip install 'friedel[peers]'")
        return False
    return True


def phase(
    diffraction: Diffraction,
    *,
    threshold: float,
    seed: int,
    schedule: str = SCHEDULE,
    shrink_every: int = 1,
) -> PeerResult:
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
    """
    rec = _reconstructor(diffraction, schedule, threshold, shrink_every)
    rng = np.random.default_rng(seed)
    rec.ds_image = rng.random(rec.dims) + 1j * rng.random(rec.dims)
    with redirect_stdout(io.StringIO()):
        rec.init_iter_loop()
        rec.ds_image = rec.ds_image * rec.support
        began = time.process_time()
        rec.iterate()
        seconds = time.process_time() - began
    support = np.asarray(rec.support, dtype=bool)
    obj = (np.conj(rec.ds_image) * support).astype(np.complex64)
    obj *= np.sqrt(diffraction.n_photons) / np.linalg.norm(obj)
    return PeerResult(object=obj, support=support, chi=chi(obj, diffraction), cpu_seconds=seconds)


def chi(obj: NDArray[np.complex64], diffraction: Diffraction) -> float:
    """Return χ of an object ``(z, y, x)`` over the measured voxels."""
    return float(chi_of(torch.from_numpy(obj)[None], measured_from(diffraction))[0])


def _reconstructor(diffraction: Diffraction, schedule: str, threshold: float, shrink_every: int) -> Any:
    from cohere_core.controller.phasing import Rec

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
