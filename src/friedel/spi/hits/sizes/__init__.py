"""The size of every particle: spheroids fitted to hits, and the modes of a run's sizes."""
