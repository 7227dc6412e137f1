import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import BankConfig
from gair_jax.train import memory_bank, step


@pytest.mark.parametrize('small', [2, 20, step.SMALL])
def test_the_norm_is_that_of_all_numbers_however_they_are_summed(small, monkeypatch):
    monkeypatch.setattr(step, 'SMALL', small)
    draw = np.random.default_rng(0)
    shapes = ((), (3,), (4, 5), (2, 3, 7))
    tree = {str(shape): jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in shapes}
    every = np.concatenate([np.ravel(leaf) for leaf in tree.values()])
    assert jax.jit(step.norm)(tree) == pytest.approx(np.linalg.norm(every), rel=1e-6)


@pytest.mark.parametrize('content', memory_bank.CONTENTS)
def test_nothing_is_pushed_where_a_step_is_not_finite(content):
    before = memory_bank.create(BankConfig(size=5, content=content), 3, jax.random.key(0))
    lonlat, valid = jnp.ones((2, 2)), jnp.asarray([True, True])
    pushed = lonlat, valid, *([jnp.ones((2, 3))] if content == 'embeddings' else [])
    after = step._pushed(before, pushed, jnp.asarray(False))
    jax.tree.map(np.testing.assert_array_equal, after, before)
    assert int(step._pushed(before, pushed, jnp.asarray(True)).cursor) == 2
