"""Bragg coherent diffraction imaging: from a rocking scan of one crystal to its shape and strain."""
