"""From a crystal to the photons that a detector counts around a Bragg peak. Writes no file."""
