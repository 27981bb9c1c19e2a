"""From a particle to the frames a detector records. Writes no file."""
