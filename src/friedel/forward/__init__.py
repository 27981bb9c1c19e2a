"""What the detector would see: sample and optics to expected photons, noisy frames and scans. Writes no file."""

from friedel.forward.bragg import blur_by_coherence, count_photons, diffract, expected_intensities

__all__ = ["blur_by_coherence", "count_photons", "diffract", "expected_intensities"]
