"""Facets of crystals whose facets are known: found within 3°, over generators, sizes and images of several kinds.

Outlines from half-spaces, randomly turned: Wulff crystals, every facet at its own distance; these on a substrate;
octahedra and cubes cut at random; bodies of random planes; prisms. Seen as voxels at a resolution of 1.4 voxels with
5 % noise, of 2.4 voxels with 10 %, and as `friedel.reconstruct` makes them from photons, with strain, on the skewed
grid of a rocking scan. A facet counts if its true area is 60 voxels² or more (about 8 × 8); the smaller ones stand
beside, and what was found where no facet is.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from report import Report, arguments
from scipy import ndimage
from scipy.spatial.transform import Rotation

from friedel.bcdi.crystals.lattice import LatticeCrystal, gold_crystal
from friedel.bcdi.facets import find_facets
from friedel.bcdi.forward.bragg import diffract
from friedel.bcdi.forward.scan import gold_111_geometry
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.records import CrystalImage, Diffraction
from friedel.bcdi.strain.analysis import analyse
from friedel.core.outlines import SHAPES, wulff
from friedel.core.polyhedra import Polyhedron, coverage

LEAST_AREA = 60.0
"""Voxels² of the facets that count."""
WITHIN_DEG = 3.0
FIRST_SEED = 7000
_BOX, _PHOTONS = 48, 1e7

Seen = tuple[Polyhedron, CrystalImage, float]
"""A crystal's true outline, its image, and the edge of a voxel in the outline's unit."""
Maker = Callable[[np.random.Generator], Polyhedron]


def cut_octahedron(rng: np.random.Generator) -> Polyhedron:
    """Return an octahedron whose corners are cut, each at its own depth."""
    shape = wulff({(1, 1, 1): 1.0, (1, 0, 0): rng.uniform(0.95, 1.5)})
    return Polyhedron(shape.normals, shape.distances * rng.uniform(0.93, 1.07, len(shape.distances))).centred()


def cut_cube(rng: np.random.Generator) -> Polyhedron:
    """Return a cube whose corners or edges are cut, or neither."""
    planes = {(1, 0, 0): 1.0}
    cut = rng.integers(3)
    if cut:
        planes[(1, 1, 1) if cut == 1 else (1, 1, 0)] = rng.uniform(1.1, 1.35) if cut == 1 else rng.uniform(1.08, 1.25)
    shape = wulff(planes)
    return Polyhedron(shape.normals, shape.distances * rng.uniform(0.93, 1.07, len(shape.distances))).centred()


MAKERS: dict[str, Maker] = {
    "wulff": SHAPES["wulff"],
    "supported": SHAPES["supported"],
    "cut octahedron": cut_octahedron,
    "cut cube": cut_cube,
    "random planes": SHAPES["convex"],
    "prism": SHAPES["prism"],
}


@dataclass
class Count:
    """Facets of known crystals: those that count and those found, the smaller ones, and what is no facet."""

    large: int = 0
    found: int = 0
    small: int = 0
    small_found: int = 0
    false: int = 0
    crystals: int = 0

    def add(self, outline: Polyhedron, crystal: CrystalImage, voxel: float) -> list[tuple[float, float]]:
        """Compare one crystal; return (area, voxels²; angle to the nearest found, degrees) of each true facet."""
        found = find_facets(crystal)
        normals = np.array([facet.normal for facet in found]).reshape(-1, 3)
        true = [(outline.normals[k], _area(c, outline.normals[k]) / voxel**2)
                for k, c in zip(outline.facets, outline.faces, strict=True)]  # fmt: skip

        def explained(sign: int) -> float:
            return sum(area for normal, area in true if _apart(sign * normal, normals) < WITHIN_DEG)

        sign = max((1, -1), key=explained)  # a reconstruction may be the twin, which inverts every normal
        rows = [(area, _apart(sign * normal, normals)) for normal, area in true]
        self.crystals += 1
        for area, angle in rows:
            if area >= LEAST_AREA:
                self.large, self.found = self.large + 1, self.found + (angle < WITHIN_DEG)
            else:
                self.small, self.small_found = self.small + 1, self.small_found + (angle < WITHIN_DEG)
        directions = sign * np.array([n for n, _ in true])
        self.false += sum(_apart(facet.normal, directions) > 2 * WITHIN_DEG for facet in found)
        return rows

    def join(self, other: "Count") -> None:
        """Add another's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def _apart(normal: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Return the angle to the nearest of some directions, degrees; 180 if there are none."""
    if not len(others):
        return 180.0
    return float(np.rad2deg(np.arccos(np.clip(np.max(others @ normal), -1, 1))))


def _area(corners: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    edges = corners[1:] - corners[0]
    return float(sum(np.cross(a, b) @ normal for a, b in pairwise(edges)) / 2)


def as_voxels(outline: Polyhedron, seed: int, *, size: float, blur: float = 0.6, noise: float = 0.05) -> Seen:
    """Return a turned outline, its blurred and noisy image (RMS width in voxels, share), and the voxel, in its unit."""
    turn = Rotation.random(random_state=seed).as_matrix()
    outline = outline.transformed(turn)
    outline = outline.transformed(np.eye(3) * size / outline.extent.mean()).centred()
    n = int(np.ceil(outline.extent.max())) + 10
    axes = np.stack(np.meshgrid(*[np.arange(n) - n // 2.0] * 3, indexing="ij"), -1)[..., ::-1]
    amplitude = ndimage.gaussian_filter(coverage(outline, axes, np.eye(3)[::-1]), blur)
    amplitude *= 1 + noise * np.random.default_rng(seed).normal(size=amplitude.shape)
    crystal = CrystalImage(
        object=amplitude.astype(np.complex64),
        support=amplitude > 0.5,
        isosurface_level=0.5,
        bulk_amplitude=1.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        direction=turn @ np.ones(3) / 3**0.5,
    )
    return outline, crystal, 1.0


def as_reconstructed(outline: Polyhedron, seed: int, *, size: float) -> Seen:
    """Return a turned outline, what is made of its photons, and the regular grid's voxel, Å."""
    grid = gold_111_geometry((_BOX, _BOX, _BOX)).grid
    basis, h = grid.object_basis((_BOX, _BOX, _BOX)), grid.q_bragg
    steps = np.linalg.norm(basis, axis=1)
    model = gold_crystal(h, seed=seed, diameter_angstrom=size * float(steps.max()), phase_range_rad=2.0)
    turn = Rotation.random(random_state=seed).as_matrix()
    outline = outline.transformed(turn)
    fits = size * float(steps.max()) * np.eye(3)
    outline = outline.transformed(fits / outline.extent.max()).centred()
    seen = LatticeCrystal(outline=outline, displacement=model.displacement)
    object_ = seen.on_grid(basis=basis, h=h, shape=(_BOX, _BOX, _BOX))
    counts = diffract(object_, n_photons=_PHOTONS, seed=seed)
    pattern = Diffraction(intensities=counts, mask=np.ones(counts.shape, dtype=bool), grid=grid)
    image = analyse(reconstruct_diffraction(pattern, seed=seed))
    assert image.voxel_size_angstrom is not None
    return outline, image, image.voxel_size_angstrom


KINDS: dict[str, tuple[Callable[..., Seen], tuple[float, ...]]] = {
    "voxels": (as_voxels, (24.0, 30.0, 40.0)),
    "blurred": (partial(as_voxels, blur=1.0, noise=0.1), (30.0,)),
    "photons": (as_reconstructed, (24.0,)),
}


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--crystals", type=int, default=6, help="of each generator, for each kind of image")
    parser.add_argument("--only", choices=tuple(KINDS))


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    report = Report("facets of known crystals", given.quick)
    for kind, (seen, sizes) in KINDS.items():
        for size in sizes[:1] if given.quick else sizes:
            if given.only in (None, kind):
                _judge(report, f"{kind}, {size:g} voxels", partial(seen, size=size), given)
    report.finish()


def _judge(report: Report, title: str, seen: Callable[..., Seen], given: argparse.Namespace) -> None:
    together = Count()
    for name, make in MAKERS.items():
        count, began = Count(), time.process_time()
        for seed in range(given.seed, given.seed + (2 if given.quick else given.crystals)):
            rows = count.add(*seen(make(np.random.default_rng(seed)), seed))
            missed = [f"{a:.0f} voxels² ({d:.1f}°)" for a, d in rows if a >= LEAST_AREA and d >= WITHIN_DEG]
            if missed:
                report.note(f"{title}, {name}, seed {seed}: missed {', '.join(missed)}")
        together.join(count)
        _line(report, f"{title}, {name}", count)
        seconds = (time.process_time() - began) / count.crystals
        sys.stdout.write(f"{report.lines[-1].what}: {report.lines[-1].figure}; {seconds:.1f} CPU-s a crystal\n")
        sys.stdout.flush()
    _line(report, f"{title}, all", together, bar=True)


def _line(report: Report, what: str, count: Count, *, bar: bool = False) -> None:
    share = count.found / max(count.large, 1)
    figure = f"{count.found} of {count.large} ({share:.1%}); smaller {count.small_found} of {count.small}; "
    figure += f"no facet {count.false}"
    report.add(what, figure, bar="95 % within 3°" if bar else "", met=share >= 0.95 if bar else None)


if __name__ == "__main__":
    main()
