"""Anyone's own photos, tiles and places, from a table and files."""

from gair_jax.builders.photos.builder import Photos, build

__all__ = ['Photos', 'build']
