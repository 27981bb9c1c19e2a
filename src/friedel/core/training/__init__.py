"""How any network learns: options, Lightning module, checkpoints, examples and the training run."""
