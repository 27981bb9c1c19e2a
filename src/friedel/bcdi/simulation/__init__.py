"""Stores of simulated crystals: the plan, the job and the file."""
