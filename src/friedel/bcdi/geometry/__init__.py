"""Beam, detector, diffractometer and the reciprocal-space grid they span."""
