"""EuroSAT chips of 13 bands."""

from gair_jax.builders.eurosat_ms.builder import EurosatMs, build

__all__ = ['EurosatMs', 'build']
