"""What is measured of a frame's pattern: features, fringes, distance from the training frames."""
