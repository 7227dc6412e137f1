"""Global Streetscapes: street views with perceived or physical labels."""

from gair_jax.builders.global_streetscapes.builder import GlobalStreetscapes, build

__all__ = ['GlobalStreetscapes', 'build']
