"""Scores of a run in files, and the selected frames."""
