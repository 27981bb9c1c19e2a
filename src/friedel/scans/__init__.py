"""From a raw rocking scan to a clean 3D pattern: one step a file, each saying what it did."""
