"""What a frame becomes before it is looked at: photons, a run's calibration, centre and size."""
