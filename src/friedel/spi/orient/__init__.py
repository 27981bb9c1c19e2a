"""Orientations of frames and the intensity they make in three dimensions."""
