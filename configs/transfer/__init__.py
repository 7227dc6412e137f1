"""Benchmarks of frozen encoders."""
