"""Socio-economic indicators of block groups, with street views of anyone's own."""

from gair_jax.builders.indicators.builder import Indicators, build

__all__ = ['Indicators', 'build']
