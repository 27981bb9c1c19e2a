"""A crystal heated scan by scan: it drifts, turns, expands and strains, and one scan stops halfway. Truth included."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from friedel.bcdi.crystals.lattice import LatticeCrystal, gold_crystal
from friedel.bcdi.forward.scan import PERFECT, gold_111_geometry, simulate_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.write import write_aps34idc_scan

SHAPE = (44, 48, 48)
DIAMETER = 2200.0
FIRST = 40


@dataclass(frozen=True)
class Heating:
    """What was written, and what is true of each scan."""

    source: ScanSource
    temperatures: tuple[float, ...]
    strain_rms: tuple[float, ...]
    turned_deg: tuple[float, ...]
    crystals: tuple[LatticeCrystal, ...]


def write_heating(folder: Path, n_scans: int, *, aborted: int | None, n_photons: float = 2e7, seed: int = 3) -> Heating:
    """Write scans 40, 41, … of one heated crystal, as 34-ID-C does; one of them stops halfway."""
    rng, noise = np.random.default_rng(seed), 100 + 1000 * (seed - 3)
    geometry = gold_111_geometry(SHAPE)
    h = geometry.grid.q_bragg
    base = gold_crystal(h, seed=seed, diameter_angstrom=DIAMETER, phase_range_rad=1.0)
    temperatures = tuple(np.linspace(300.0, 600.0, n_scans))
    strains, turned, crystals, specs, source = [], [], [], [], None
    for k in range(n_scans):
        phase_range = 1.5 + 2.5 * k / max(n_scans - 1, 1)
        angle = np.deg2rad(1.5 * k / max(n_scans - 1, 1))
        crystal = _warmer(base, phase_range, angle * h / np.linalg.norm(h))
        drifted = tuple(n // 2 + int(d) for n, d in zip(SHAPE, rng.integers(-2, 3, 3), strict=True))
        where = gold_111_geometry(SHAPE, peak=drifted)
        scan = simulate_scan(crystal, where, n_photons=n_photons, seed=noise + k, imperfections=PERFECT).scan
        if k == aborted:
            n = 22  # just past the peak
            motors = {name: v[:n] if np.ndim(v) else v for name, v in scan.motors_deg.items()}
            scan = replace(scan, frames=scan.frames[:n], motors_deg=motors)
        source = write_aps34idc_scan(folder, scan, number=FIRST + k, sample="Heated")
        text = source.spec.read_text()
        specs.append(text if not specs else text[text.index("#S ") :])
        crystals.append(crystal)
        strains.append(_true_rms(crystal, h))
        turned.append(float(np.rad2deg(angle)))
    source.spec.write_text("\n".join(specs))
    everywhere = source.model_copy(update={"path": folder, "scan": None})
    return Heating(everywhere, temperatures, tuple(strains), tuple(turned), tuple(crystals))


def _warmer(base: LatticeCrystal, phase_range: float, turn: np.ndarray) -> LatticeCrystal:
    rotation = Rotation.from_rotvec(turn).as_matrix()

    def displacement(r: np.ndarray) -> np.ndarray:
        return phase_range * np.einsum("ab,...b->...a", rotation, base.displacement(r @ rotation))

    return LatticeCrystal(outline=base.outline.transformed(rotation), displacement=displacement)


def _true_rms(crystal: LatticeCrystal, h: np.ndarray) -> float:
    """RMS of the strain over the crystal more than a resolution element below its surface, its mean taken out."""
    axis = np.linspace(-0.5, 0.5, 40)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3) * crystal.outline.extent
    strain = crystal.strain(points[crystal.outline.depth(points) > 0], h)
    return float(strain.std())
