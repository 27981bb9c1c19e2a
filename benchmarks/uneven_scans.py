"""Strain from scans whose angles are uneven, doubled and missing, beside the same crystal scanned evenly.

Bar: with steps that vary by ±30 %, 20 frames doubled and 5 % missing, strain rms against the known crystal at most 1.5
times that of the even scan, median over the seeds. The truth is the crystal on the voxels of the
evened scan, from its exact amplitude at the evened frames' places; all scans have the same photons.

Two even scans are compared with. One has its frames at integers, where the crystal's faces fall between voxels: no
other scan sees it so sharply. The other has its frames where the uneven one's are evened to, as any real scan's might
be: the same voxels, the same truth, and so the same to find.
"""

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments

import friedel
from friedel.bcdi.evaluation.truth import Lattice, against_truth
from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.bcdi.prepare.crop import find_peak
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.positions import evened
from friedel.bcdi.prepare.prepare import clean_counts, prepare
from friedel.bcdi.records import BraggScan

N, STEP_DEG, PHOTONS = 48, 0.01, 1e7
SEEDS, QUICK_SEEDS = 8, 1
MOST = 1.5
VARIATION, DOUBLED, MISSING = 0.3, 20, 0.05
OPTIONS = PrepareOptions(aliens=False, shape=(N, N, N))

Array = NDArray[np.float64]


def crystal(seed: int) -> NDArray[np.complex64]:
    """Return the object, ``(N, N, N)``."""
    rng = np.random.default_rng((seed, 1))
    z, y, x = np.indices((N, N, N)) - N // 2
    a, b, c = rng.uniform(6.2, 8.2, 3)
    cut, tilt = rng.uniform(8.5, 10.0), rng.uniform(-0.6, 0.6, 2)
    inside = (abs(z) <= a) & (abs(y) <= b) & (abs(x) <= c) & (abs(z + y) < cut) & (z + tilt[0] * x + tilt[1] * y < 9)
    k, p = rng.uniform(0.15, 0.28, 3), rng.uniform(-1, 1, 3)
    phase = 1.2 * (np.sin(k[0] * x + p[0]) * np.cos(k[1] * y + p[1]) + 0.6 * np.sin(k[2] * z + p[2]))
    return (inside * np.exp(1j * phase)).astype(np.complex64)


def amplitudes_at(places: Array, obj: NDArray[np.complex64]) -> NDArray[np.complex128]:
    """Return the scattered amplitude at fractional places along the scan, ``(n, N, N)``."""
    z = np.arange(N) - N // 2
    projected = np.tensordot(np.exp(-2j * np.pi * np.outer(places - N // 2, z) / N), obj, axes=1)
    return np.asarray(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(projected, axes=(1, 2))), axes=(1, 2)))


def seen_in(places: Array, middle: tuple[int, int], obj: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the object as a pattern with frames at these places, about this pixel, has it."""
    amplitude = amplitudes_at(places, obj)
    amplitude = np.roll(amplitude, (N // 2 - middle[0], N // 2 - middle[1]), (1, 2))
    return np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(amplitude))).astype(np.complex64)


def uneven_places(seed: int) -> Array:
    """Return places of uneven, doubled and missing frames over the whole scan."""
    rng = np.random.default_rng((seed, 2))
    steps = 1 + VARIATION * rng.uniform(-1, 1, N - 1)
    places = np.concatenate([[0.0], np.cumsum(steps)])
    places *= (N - 1) / places[-1]
    places = np.sort(np.concatenate([places, rng.choice(places, DOUBLED, replace=False)]))
    return np.delete(places, rng.choice(np.arange(1, places.size - 1), round(MISSING * places.size), replace=False))


def strain_error(places: Array, seed: int) -> tuple[float, float, Array]:
    """Return the strain's rms error, the correlation and the evened places for a scan with frames at these places."""
    obj = crystal(seed)
    expected = np.abs(amplitudes_at(places, obj)) ** 2
    photons = np.random.default_rng((seed, 3)).poisson(expected * PHOTONS / expected.sum()).astype(np.float64)
    geometry = gold_111_geometry(photons.shape)
    theta = 0.2 + STEP_DEG * (places - N // 2)
    scan = BraggScan(
        frames=photons, mask=np.ones((N, N), bool), beam=geometry.beam, detector=geometry.detector,
        diffractometer=geometry.diffractometer, motors_deg={**geometry.motors_deg, "th": theta}, name="scan",
    )  # fmt: skip
    even = evened(clean_counts(scan), scan)
    z, row, column = find_peak(even.counts)
    at = (np.asarray(even.scan.motors_deg["th"]) - 0.2) / STEP_DEG + N // 2
    step = float(np.diff(at).mean())
    truth = seen_in(at[z] + step * (np.arange(N) - N // 2), (row, column), obj)
    found = friedel.reconstruct(prepare(scan, OPTIONS), seed=seed)
    lattice = Lattice(h=(0.0, 2.7, 0.0), voxel_angstrom=(60 / step, 60, 60))
    against = against_truth(found.object, truth, lattice)
    return against.strain_error, against.correlation, at


def main() -> None:
    """Phase every crystal from both scans and print the ratio of their strain errors."""
    given = arguments(__doc__)
    report = Report(title="uneven scans: strain against the known crystal", quick=given.quick)
    alike, sharp = [], []
    for seed in range(QUICK_SEEDS if given.quick else SEEDS):
        even, how_near, _ = strain_error(np.arange(N, dtype=float), seed)
        uneven, other, at = strain_error(uneven_places(seed), seed)
        there, same, _ = strain_error(at, seed)
        alike.append(uneven / there)
        sharp.append(uneven / even)
        said = f"{even:.2e} even ({how_near:.4f}), {there:.2e} even at the same places ({same:.4f})"
        print(f"  seed {seed}: strain rms {said}, {uneven:.2e} uneven ({other:.4f})", flush=True)
    for of, ratios in (("an even scan at the same places", alike), ("an even scan at integers", sharp)):
        text = f"{np.median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})"
        report.add(f"strain rms, uneven over {of}", text, bar=f"<= {MOST:g}", met=float(np.median(ratios)) <= MOST)
    report.finish()


if __name__ == "__main__":
    main()
