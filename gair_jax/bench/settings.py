"""The config that a bench is about."""

import importlib.util
from collections.abc import Sequence

from gair_jax import config_files
from gair_jax.config import Config

PAPER = 'gair_jax.configs.pretrain.gair_base'


def settings(path: str, overrides: Sequence[str]) -> Config:
    """Of a config file with overrides; '' is the paper's model.

    Raises:
      InputError: it cannot be used.
    """
    if not path:
        found = importlib.util.find_spec(PAPER)
        assert found is not None and found.origin is not None, 'configs are part of the package'
        path = found.origin
    return config_files.load(path, overrides)
