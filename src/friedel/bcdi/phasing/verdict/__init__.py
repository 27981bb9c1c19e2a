"""How good is a solution? Fit against photon noise, plausibility, resolution, and the reasons of the verdict."""
