"""Frames against slices of an intensity: how probable is each orientation, and what do the frames say in each."""
