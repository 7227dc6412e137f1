"""Training: state, step, optimiser, memory bank, checkpoints and the loop."""
