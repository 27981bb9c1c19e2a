"""File mechanics that know no science: whole-or-nothing writing, HDF5 opening, damage, arrays, TIFF and SPEC."""
