"""What the detector would see: sample and optics to expected photons, noisy frames and scans. Writes no file."""

from friedel.forward.bragg import blur_by_coherence, count_photons, diffract, expected_intensities
from friedel.forward.scan import (
    PERFECT,
    Imperfections,
    ScanGeometry,
    SimulatedScan,
    gold_111_geometry,
    simulate_demo_scan,
    simulate_scan,
)

__all__ = [
    "PERFECT",
    "Imperfections",
    "ScanGeometry",
    "SimulatedScan",
    "blur_by_coherence",
    "count_photons",
    "diffract",
    "expected_intensities",
    "gold_111_geometry",
    "simulate_demo_scan",
    "simulate_scan",
]
