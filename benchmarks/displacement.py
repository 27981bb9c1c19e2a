"""A crystal of known displacement, measured in a skewed detector frame, through the whole chain.

Bar: displacement and strain within 2 %, sign right. Gold crystals on a 34-ID-C-like diffractometer are recorded by the
simulator, prepared, phased with the defaults and analysed; the truth is the crystal's own displacement field at the
laboratory positions of the result, in the bulk (two voxels below the surface). Twin, shift and global phase are set
aside first. Two figures have the bar: the slope of found against true, 1 within 2 %, and the RMS deviation, at most
2 % of the true field's range. The RMS deviation relative to the true RMS, which photon noise rules, stands beside.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments, spread
from scipy import ndimage

from friedel.bcdi.crystals.lattice import gold_crystal
from friedel.bcdi.forward.scan import PERFECT, Imperfections, SimulatedScan, gold_111_geometry, simulate_scan
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.bcdi.strain.regrid import CubicGrid

TOLERANCE = 0.02
FAMILIES = ("substrate", "surface", "smooth")
SHAPE = (72, 96, 96)
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Compared:
    """A found field against the true one."""

    slope: float
    of_range: float
    of_rms: float


def compared(found: Floats, true: Floats) -> Compared:
    """Return how a found field ``(n,)`` follows the true one; their means are taken out."""
    found, true = found - found.mean(), true - true.mean()
    off = float(np.sqrt(np.mean((found - true) ** 2)))
    return Compared(float(found @ true / (true @ true)), off / float(np.ptp(true)), off / float(np.std(true)))


def recorded(family: str, seed: int, n_photons: float, faults: Imperfections) -> SimulatedScan:
    """Return the scan of a 340 nm gold crystal strained by one family, phase range 5 rad."""
    geometry = gold_111_geometry(SHAPE)
    crystal = gold_crystal(
        geometry.grid.q_bragg, seed=seed, diameter_angstrom=3400.0, phase_range_rad=5.0, strain_family=family
    )
    return simulate_scan(crystal, geometry, n_photons=n_photons, seed=seed, imperfections=faults)


def solved(simulated: SimulatedScan, options: PhasingOptions, seed: int) -> Reconstruction:
    """Return the reconstruction, moved and turned as the crystal is."""
    centre = simulated.geometry.peak
    pattern = prepare(simulated.scan, PrepareOptions(centre=centre))
    found = reconstruct_diffraction(pattern, options, seed=seed)
    truth = simulated.object(simulated.geometry.grid, _shape(found))
    aligned, correlation = align_to(found.object, truth)
    print(f"  correlation with the truth {correlation:.4f}, χ {found.quality.chi:.4f}", flush=True)
    # The support moves along; shifted by fractions of voxels it is cut at a half.
    support = _aligned_support(found, aligned)
    return replace(found, object=(aligned * support).astype(np.complex64), support=support)


def _aligned_support(found: Reconstruction, aligned: NDArray[np.complexfloating]) -> NDArray[np.bool_]:
    moved, _ = align_to(found.support.astype(np.complex64), np.abs(aligned).astype(np.complex64))
    return np.asarray(np.abs(moved) > 0.5)


def _shape(found: Reconstruction) -> tuple[int, int, int]:
    z, y, x = found.object.shape
    return z, y, x


def judged(simulated: SimulatedScan, image: CrystalImage) -> tuple[Compared, Compared]:
    """Return displacement and strain in the bulk against the crystal's own."""
    if image.strain is None or image.displacement_angstrom is None or image.voxel_size_angstrom is None:
        raise RuntimeError("the simulated scan carries its geometry, but the analysis has none")
    z, y, x = image.object.shape
    bulk = ndimage.binary_erosion(image.support, iterations=2)
    where = CubicGrid(shape=(z, y, x), voxel_size=image.voxel_size_angstrom).positions()[bulk]
    h = simulated.geometry.grid.q_bragg
    displacement = simulated.crystal.displacement(where) @ h / np.linalg.norm(h)
    strain = simulated.crystal.strain(where, h)
    return compared(image.displacement_angstrom[bulk], displacement), compared(image.strain[bulk], strain)


def add_lines(report: Report, family: str, name: str, found: list[Compared]) -> None:
    """Add one field's figures."""
    slopes, of_range = [c.slope for c in found], [c.of_range for c in found]
    report.add(
        f"{family}: {name}, slope", spread(slopes, 3), bar=f"1 ± {TOLERANCE}",
        met=all(abs(slope - 1) <= TOLERANCE for slope in slopes),
    )  # fmt: skip
    report.add(
        f"{family}: {name}, RMS deviation of range", spread([100 * v for v in of_range], 2) + " %",
        bar=f"<= {TOLERANCE:.0%}", met=max(of_range) <= TOLERANCE,
    )  # fmt: skip
    report.add(f"{family}: {name}, RMS deviation of RMS", spread([100 * c.of_rms for c in found], 1) + " %")


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=3, help="of each family of strain")
    parser.add_argument("--photons", type=float, default=5e7)
    parser.add_argument("--imperfect", action="store_true", help="with bad pixels, aliens, background and flat field")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    options = PhasingOptions(starts=2, rounds=1, keep=2) if given.quick else PhasingOptions()
    families, count = (FAMILIES[:1], 1) if given.quick else (FAMILIES, given.crystals)
    faults = Imperfections() if given.imperfect else PERFECT
    report = Report("displacement: a known crystal in a skewed frame", given.quick)
    for family in families:
        scans = [recorded(family, 4 + k, given.photons, faults) for k in range(count)]
        # The ramp stays in: the truth's lattice is that of the grid's centre, and its mean strain counts too.
        images = [analyse(solved(scan, options, 0), StrainOptions(remove_ramp=False)) for scan in scans]
        pairs = [judged(scan, image) for scan, image in zip(scans, images, strict=True)]
        add_lines(report, family, "displacement", [u for u, _ in pairs])
        add_lines(report, family, "strain", [strain for _, strain in pairs])
    report.note(f"{count} crystals a family, {SHAPE} voxels, {given.photons:.0e} photons.")
    report.finish()


if __name__ == "__main__":
    main()
