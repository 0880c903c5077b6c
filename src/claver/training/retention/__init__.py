"""Training that keeps what a model knew: averages of weights, interpolated weights, and distillation from the start."""
