"""Single particles to learn from and to test with: bodies, assemblies, molecules, maps."""
