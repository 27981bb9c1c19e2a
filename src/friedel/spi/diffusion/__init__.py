"""The diffusion map of a run: kernels, eigenvectors, landmarks."""
