"""Benchmark scores: NumPy arrays in, numbers out. Nothing here knows a model or a data set."""
