"""How phasing networks learn: patterns, losses, the training job and its plan."""
