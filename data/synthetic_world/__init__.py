"""A made-up world, for the quickstart, tests and ablations."""

from gair_jax.builders.synthetic_world.builder import SyntheticWorld, build

__all__ = ['SyntheticWorld', 'build']
