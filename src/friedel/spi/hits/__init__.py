"""Which frames are single hits? Preparation, features, scores, calibration, selection."""
