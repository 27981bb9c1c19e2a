"""How good a phasing method is: conditions, methods, figures against the truth, one report."""
