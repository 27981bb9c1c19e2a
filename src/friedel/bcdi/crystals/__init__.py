"""Crystals to learn from and to test with: outlines, displacement fields, atoms, voxels."""
