"""GAIR (arXiv 2503.16683) in JAX: tiles, street view photos and places in one embedding."""

__version__ = '0.1.0'
