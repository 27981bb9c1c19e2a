"""Figures of crystals and reconstructions; every function returns a matplotlib figure. No computing, no files."""
