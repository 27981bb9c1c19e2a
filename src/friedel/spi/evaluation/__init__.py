"""How good a classifier is, where and why: data, models, sections, one report."""
