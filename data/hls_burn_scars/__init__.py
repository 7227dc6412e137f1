"""HLS Burn Scars: tiles with masks of burnt ground."""

from gair_jax.builders.hls_burn_scars.builder import HlsBurnScars, build

__all__ = ['HlsBurnScars', 'build']
