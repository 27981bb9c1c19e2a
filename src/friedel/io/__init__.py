"""Files in, files out: facility readers, plain volumes, CXI, HDF5, VTI. Nothing else opens a file."""
