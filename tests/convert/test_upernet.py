import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import upernet
from gair_jax.convert.table import flatten, restore, unflatten
from gair_jax.models.upernet import UPerNet, UPerNetSpec

RULES = upernet.decoder([4, 2, 1, 0.5], pools=2)


def template():
    model = UPerNet(UPerNetSpec(classes=3, channels=5, pools=(1, 2)))
    levels = [jnp.zeros((1, 4, 4, 6))] * 4
    return jax.eval_shape(lambda: model.init(jax.random.key(0), levels, (4, 4)))


def state():
    rng, shapes = np.random.default_rng(0), flatten(template())
    arrays = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in shapes.items()}
    return restore(unflatten(arrays), RULES)


def test_what_was_read_is_restored_bit_for_bit():
    given = state()
    counted = given | {'neck.ops.0.1.num_batches_tracked': np.int64(3)}
    again = restore(upernet.variables(counted, RULES, template()), RULES)
    assert again.keys() == given.keys()
    for key, array in given.items():
        np.testing.assert_array_equal(again[key], array)


@pytest.mark.parametrize('key', ['neck.ops.0.1.running_var', 'conv_seg.bias'])
def test_a_missing_key_is_named(key):
    left = {k: v for k, v in state().items() if k != key}
    with pytest.raises(InputError, match=f'{key}: expected for our .*, found nothing'):
        upernet.variables(left, RULES, template())


def test_a_key_left_over_is_named():
    with pytest.raises(InputError, match='auxiliary.weight: expected no such key'):
        upernet.variables(state() | {'auxiliary.weight': np.zeros(3)}, RULES, template())
