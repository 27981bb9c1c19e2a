"""From a raw rocking scan to a clean 3D pattern: one step after another, each saying what it did."""
