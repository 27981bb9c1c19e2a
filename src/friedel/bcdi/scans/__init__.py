"""Rocking scans in files: which files, which beamline, read and written. No preparation."""
