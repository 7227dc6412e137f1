"""Crop type mapping in South Sudan: series of tiles with masks of crops."""

from gair_jax.builders.crop_type_south_sudan.builder import CropTypeSouthSudan, build

__all__ = ['CropTypeSouthSudan', 'build']
