"""Reconstructions in files: CXI, NPZ, VTI and JSON; the folder of a result."""
