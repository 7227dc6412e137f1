"""Weights of reference implementations to ours: one table a source model."""
