"""Are error bars right? Crystals with truth: how many voxels lie within one and two of their own standard errors.

Bars: of voxels 68 ± 6 % within one and 95 ± 3 % within two, of phase and strain, over 20 crystals a line of two
generators at 1e6, 1e7 and 1e8 photons; no trusted image wrong beyond three of its own error bars; at most 30 % of a
reconstruction's CPU time. Phases are compared where the amplitude is at least half the bulk's, strains inside the
surface; shift and global phase, which no pattern tells, are set aside first.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
from crystals import GENERATORS, crystal, measure
from numpy.typing import NDArray
from report import Report, arguments

from friedel.bcdi import reconstruct
from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.records import CrystalImage, Reconstruction, Uncertainty
from friedel.bcdi.strain import analyse
from friedel.bcdi.uncertainty.estimate import (
    bulk_of,
    deep_inside,
    diameter_of,
    estimate_uncertainty,
    without_ambiguities,
)

WITHIN_ONE, WITHIN_TWO, COST = (0.62, 0.74), (0.92, 0.98), 0.3
BEYOND = 3.0
BOX_ANGSTROM, GOLD_111_ANGSTROM = 3200.0, 2.3545
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Judged:
    """One crystal: deviations from the truth in standard errors, and what they cost."""

    phase: Floats
    strain: Floats
    spacing: float
    diameter: float
    error_rad: float
    claimed_rad: float
    trusted: bool
    cost: float


def gold_111(n: int) -> ReciprocalGrid:
    """Return a cubic grid around a gold 111 reflection along y, in a box of 320 nm."""
    q = np.array([0.0, 2 * np.pi / GOLD_111_ANGSTROM, 0.0])
    return ReciprocalGrid(basis=np.eye(3)[::-1] * 2 * np.pi / BOX_ANGSTROM, q_bragg=q, wavelength_angstrom=1.24)


@contextmanager
def timed(spent: list[float]) -> Iterator[None]:
    """Add the CPU seconds of the error bars to a list."""

    def clocked(*given: Any, **named: Any) -> Uncertainty:
        began = time.process_time()
        found = estimate_uncertainty(*given, **named)
        spent.append(time.process_time() - began)
        return found

    with mock.patch.object(reconstruct, "estimate_uncertainty", clocked):
        yield


def judge(generator: str, n: int, n_photons: float, seed: int, phase_range_rad: float) -> Judged:
    """Phase one crystal with the defaults and compare what is off with its error bars."""
    truth = crystal(generator, (n, n, n), seed=seed, phase_range_rad=phase_range_rad)
    pattern = replace(measure(truth, n_photons=n_photons, seed=seed), grid=gold_111(n))
    spent: list[float] = []
    began = time.process_time()
    with timed(spent):
        found = reconstruct.reconstruct_diffraction(pattern, seed=seed)
    whole = time.process_time() - began
    true = aligned_truth(truth, found)
    inside = found.support & (np.abs(found.object) >= 0.5 * bulk_of(found.object, found.support))
    off = np.angle(found.object * np.conj(true))[inside]
    off -= off.mean()
    image = analyse(found)
    strain, spacing = strain_off(image, found, true)
    uncertainty = found.uncertainty
    assert uncertainty is not None
    size = diameter_of(np.abs(true), deep_inside(true, inside))
    return Judged(
        phase=np.abs(off) / uncertainty.phase_rad[inside],
        strain=strain,
        spacing=spacing,
        diameter=abs(uncertainty.diameter_voxels - size) / uncertainty.diameter_error_voxels,
        error_rad=float(np.sqrt(np.mean(off**2))),
        claimed_rad=uncertainty.phase_rms_rad,
        trusted=found.quality.trusted,
        cost=spent[0] / (whole - spent[0]),
    )


def aligned_truth(truth: NDArray[np.complex64], found: Reconstruction) -> NDArray[np.complex64]:
    """Return the truth moved and turned to agree best with an object, to first order exactly."""
    true, _ = align_to(truth, found.object)
    true = true * np.float32(np.linalg.norm(found.object) / np.linalg.norm(true))
    whole = np.ones(true.shape, dtype=bool)
    difference = without_ambiguities((found.object - true).reshape(1, -1), found.object, whole)
    return found.object - difference.reshape(true.shape)


def strain_off(image: CrystalImage, found: Reconstruction, true: NDArray[np.complex64]) -> tuple[Floats, float]:
    """Return how far strain and mean spacing are from the truth's, analysed alike, in standard errors."""
    truth = analyse(replace(found, object=true.astype(np.complex64), uncertainty=None))
    errors, before, after = image.errors, truth.strain, image.strain
    if errors is None or errors.strain is None or before is None or after is None:
        raise ValueError("the pattern has a grid and error bars, so its image must have strain and errors")
    here, there = in_common(image.object.shape, truth.object.shape)
    both = image.support[here] & truth.support[there] & np.isfinite(before[there]) & np.isfinite(after[here])
    spacings = np.array([image.d0_angstrom, truth.d0_angstrom, errors.d0_angstrom], dtype=np.float64)
    strain = np.abs(after[here] - before[there])[both] / errors.strain[here][both]
    return strain, float(abs(spacings[0] - spacings[1]) / spacings[2])


def in_common(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what two cubic grids of one voxel size share, for each: their origins lie at index ``n // 2``."""
    halves = [min(a // 2, b // 2) for a, b in zip(one, other, strict=True)]
    here, there = (
        tuple(slice(n // 2 - half, n // 2 + half) for n, half in zip(shape, halves, strict=True))
        for shape in (one, other)
    )
    return here, there


def add_lines(report: Report, name: str, found: list[Judged]) -> None:
    """Add the shares, the verdicts and the cost of one set of crystals."""
    trusted = [one for one in found if one.trusted] or found
    for what in ("phase", "strain"):
        off = np.concatenate([getattr(one, what) for one in trusted])
        for limit, (low, high) in ((1, WITHIN_ONE), (2, WITHIN_TWO)):
            share = float(np.mean(off < limit))
            report.add(
                f"{name}: {what}, voxels within {limit}", f"{share:.3f}", bar=f"{low}–{high}", met=low <= share <= high
            )
    wrong = [one for one in trusted if one.trusted and one.error_rad > BEYOND * one.claimed_rad]
    report.add(f"{name}: trusted and wrong beyond three", f"{len(wrong)} of {len(found)}", bar="0", met=not wrong)
    report.add(f"{name}: trusted", f"{sum(one.trusted for one in found)} of {len(found)}")
    errors, claims = (np.median([getattr(one, key) for one in trusted]) for key in ("error_rad", "claimed_rad"))
    report.add(f"{name}: phase error, median, rad (claimed)", f"{errors:.4f} ({claims:.4f})")
    sizes, spacings = ([getattr(one, key) for one in trusted] for key in ("diameter", "spacing"))
    report.add(f"{name}: diameters within two", f"{np.mean(np.array(sizes) < 2):.2f}")
    report.add(f"{name}: mean spacings within two", f"{np.mean(np.array(spacings) < 2):.2f}")
    cost = float(np.median([one.cost for one in found]))
    report.add(f"{name}: cost over a reconstruction's, median", f"{cost:.2f}", bar=f"<= {COST}", met=cost <= COST)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=10, help="of each generator")
    parser.add_argument("--first", type=int, default=300, help="seed of the first crystal")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--photons", type=float, nargs="+", default=[1e6, 1e7, 1e8])
    parser.add_argument("--phase-range", type=float, default=2 * np.pi, help="peak to peak, radians")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    sizes, count = ([32], 1) if given.quick else (given.sizes, given.crystals)
    report = Report("error bars: deviations from the truth in standard errors", given.quick)
    for n in sizes:
        for n_photons in given.photons:
            found = []
            for generator in GENERATORS:
                for seed in range(given.first, given.first + count):
                    one = judge(generator, n, n_photons, seed, given.phase_range)
                    found.append(one)
                    share = float(np.mean(one.phase < 1)), float(np.mean(one.phase < 2))
                    print(
                        f"  {generator} {n}³ {n_photons:.0e} crystal {seed}: off {one.error_rad:.4f}, claimed "
                        f"{one.claimed_rad:.4f} rad; within {share[0]:.2f} {share[1]:.2f}; trusted {one.trusted}",
                        flush=True,
                    )
            add_lines(report, f"{n}³, {n_photons:.0e}", found)
    report.note(f"{count} crystals of each of {len(GENERATORS)} generators a line; shares are over trusted images.")
    report.finish()


if __name__ == "__main__":
    main()
