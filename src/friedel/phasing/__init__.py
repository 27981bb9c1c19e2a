"""Which object fits these intensities? Projections, support, iterative methods, refinement, ambiguities, quality."""
