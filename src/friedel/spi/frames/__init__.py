"""Detector frames in files, of many kinds, read alike; masks, geometry and labels beside them."""
