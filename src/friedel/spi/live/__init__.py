"""Single hits while the frames arrive."""
