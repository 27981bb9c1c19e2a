"""From scores to probabilities: calibration, blanks, reliability, the run's hit rate."""
