"""GAIR (arXiv 2503.16683) in JAX: geo-aligned implicit representations of tiles, photos and places."""

__version__ = '0.1.0'
