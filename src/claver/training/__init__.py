"""Training: recipe, optimiser groups, engine and checkpoints."""
