"""Experiments: one Python file each."""
