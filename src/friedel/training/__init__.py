"""How does a network learn? Ready tensors and labels in, trained weights and their figures out."""
