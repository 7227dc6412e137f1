"""The conditions that every other test runs under do hold."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from gair_jax.geo.tiles import require_inside
from gair_jax.losses import distillation


def test_there_are_8_devices():
    assert [device.platform for device in jax.devices()] == ['cpu'] * 8


def test_ranks_are_not_promoted():
    with pytest.raises(ValueError, match='rank_promotion'):
        jnp.ones((2, 3)) + jnp.ones(3)


def test_shapes_are_checked_with_and_without_jit():
    distance = functools.partial(distillation, weight=1.0, valid=jnp.ones(4, bool))
    for function in (distance, jax.jit(distance)):
        with pytest.raises(TypeCheckError, match='teacher'):
            function(jnp.ones((4, 3)), jnp.ones((4, 2)))
    with pytest.raises(TypeCheckError, match='tile_xy'):
        require_inside(np.zeros(3), 'photo')


def test_warnings_are_errors():
    with pytest.raises(UserWarning):
        warnings.warn('a reason to stop', UserWarning, stacklevel=1)
