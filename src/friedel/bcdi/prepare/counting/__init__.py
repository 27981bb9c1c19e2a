"""Whether every pixel counts every photon once: overflow, wide pixels, dead time, lines filled in from others."""
