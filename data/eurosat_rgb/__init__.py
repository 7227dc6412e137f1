"""EuroSAT RGB chips with coordinates."""

from gair_jax.builders.eurosat_rgb.builder import EurosatRgb, build

__all__ = ['EurosatRgb', 'build']
