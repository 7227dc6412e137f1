"""Anyone's own labels of photos and tiles, from a table or a tree of folders."""

from gair_jax.builders.labelled.builder import Labelled, build

__all__ = ['Labelled', 'build']
