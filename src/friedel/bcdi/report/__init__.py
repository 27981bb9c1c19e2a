"""The HTML report of a reconstruction."""
