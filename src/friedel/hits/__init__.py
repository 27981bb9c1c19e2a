"""Which frames are single hits? Features, scores, calibration, diffusion map, clusters, adaptation."""
