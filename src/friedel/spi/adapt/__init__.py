"""Fitting a shipped classifier to a new experiment from a few labels."""
