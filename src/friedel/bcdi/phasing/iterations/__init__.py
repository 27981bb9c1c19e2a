"""One iteration after another: projections, the support that follows, grids, and what was measured."""
