"""Whether every pixel counts every photon once: overflowing counters, wide pixels, lost counts at high rates."""
