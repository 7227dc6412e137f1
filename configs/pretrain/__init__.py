"""Pre-training experiments."""
