"""A crystal whose photons are known, for arrays and scans with faults."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.bcdi.prepare.arrays import diffraction_from_array
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.records import BraggScan, Diffraction
from friedel.core.observer import Recorder

N = 48
Array = NDArray[np.float64]


def _expected() -> Array:
    z, y, x = np.indices((N, N, N)) - N // 2
    inside = (abs(z) <= 7) & (abs(y) <= 6.3) & (abs(x) <= 7.7) & (abs(z + y) < 9.1) & (z - x + 0.5 * y < 9.8)
    phase = 2 * (np.sin(np.pi * x / 14 + 0.4) * np.cos(np.pi * y / 14 - 0.2) + 0.5 * np.sin(np.pi * z / 14 * 1.3))
    power = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(inside * np.exp(1j * phase))))) ** 2
    return power * 1e7 / power.sum()


EXPECTED = _expected()
PHOTONS = np.random.default_rng(1).poisson(EXPECTED).astype(float)
MASK = np.zeros((N, N, N), bool)
MASK[:, 10:12] = True


def changed(change: Callable[[Array], object]) -> Array:
    photons = PHOTONS.copy()
    change(photons)
    return photons


def found(values: object, mask: object = None, **options: object) -> tuple[Diffraction, str]:
    heard = Recorder()
    pattern = diffraction_from_array(values, mask, observer=heard, **options)
    return pattern, " | ".join(text for _, text in heard.notes if text.startswith("warning"))


def is_right(pattern: Diffraction, *, least: float = 0.9, rtol: float = 0.0) -> bool:
    known = pattern.mask
    return bool(known.mean() > least and np.allclose(pattern.intensities[known], PHOTONS[known], rtol=rtol, atol=0.01))


def scan(theta: Array, photons: Array = PHOTONS) -> BraggScan:
    geometry = gold_111_geometry(photons.shape)
    return BraggScan(
        frames=photons, mask=np.ones(photons.shape[1:], bool), beam=geometry.beam, detector=geometry.detector,
        diffractometer=geometry.diffractometer, motors_deg={**geometry.motors_deg, "th": theta}, name="s",
    )  # fmt: skip


EVEN = 0.2 + 0.01 * (np.arange(N) - N // 2)
OPTIONS = PrepareOptions(aliens=False, shape=(48, 48, 48))
