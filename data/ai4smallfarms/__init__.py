"""AI4SmallFarms: tiles with masks of small fields."""

from gair_jax.builders.ai4smallfarms.builder import Ai4smallfarms, build

__all__ = ['Ai4smallfarms', 'build']
