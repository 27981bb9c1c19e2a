"""Simulated runs: the plan, the job and the file."""
