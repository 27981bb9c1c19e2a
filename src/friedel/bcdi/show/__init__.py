"""Look at a result: its fields as slices, profiles and a surface, on one page that needs nothing else."""
