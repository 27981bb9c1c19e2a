"""How classifiers of frames learn: runs, inputs, the training job and its plan."""
