import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert.table import convert, flatten, linear, norm, qkv, unflatten

RNG = np.random.default_rng(0)
STATE = {
    'embed.weight': RNG.normal(size=(4, 6)),
    'embed.bias': RNG.normal(size=4),
    'block.0.qkv.weight': RNG.normal(size=(12, 4)),
    'block.1.qkv.weight': RNG.normal(size=(12, 4)),
    'norm.weight': RNG.normal(size=4),
    'norm.bias': RNG.normal(size=4),
    'counter': np.int64(3),
}
RULES = [
    *linear('embed', 'embed'),
    *qkv('layers', 'block.{i}.qkv', bias=False),
    *norm('norm', 'norm'),
]
TEMPLATE = unflatten(
    {
        'embed/kernel': np.empty((6, 4)),
        'embed/bias': np.empty(4),
        **{f'layers/{name}/kernel': np.empty((2, 4, 4)) for name in ('query', 'key', 'value')},
        'norm/scale': np.empty(4),
        'norm/bias': np.empty(4),
    }
)


def converted(state=STATE, rules=RULES, template=TEMPLATE, unused=('count*',)):
    return convert(state, rules, template, unused)


def test_a_flattened_tree_is_unflattened():
    assert flatten(unflatten({'a/b/c': 1, 'a/d': 2})) == {'a/b/c': 1, 'a/d': 2}


def test_linear_maps_are_turned_split_and_stacked():
    params = converted()
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    fused = x @ STATE['block.1.qkv.weight'].T
    ours = [x @ params['layers'][name]['kernel'][1] for name in ('query', 'key', 'value')]
    np.testing.assert_allclose(np.concatenate(ours, axis=1), fused, atol=1e-6)
    np.testing.assert_allclose(params['embed']['kernel'], STATE['embed.weight'].T, atol=1e-7)
    assert all(leaf.dtype == np.float32 for leaf in flatten(params).values())


@pytest.mark.parametrize('key', [key for key in STATE if key != 'counter'])
def test_a_missing_key_is_named(key):
    with pytest.raises(InputError, match=rf'{key}: expected for our .*, found nothing'):
        converted({k: v for k, v in STATE.items() if k != key})


@pytest.mark.parametrize('key', ['embed.scale', 'block.2.qkv.weight'])
def test_a_key_left_over_is_named(key):
    with pytest.raises(InputError, match=key):
        converted(STATE | {key: np.zeros((12, 4))})


def test_a_key_that_is_not_listed_as_unused_is_left_over():
    with pytest.raises(InputError, match='counter: expected no such key'):
        converted(unused=())


def test_another_shape_is_named():
    with pytest.raises(InputError, match=r'embed.weight: .* \(6, 4\), found \(5, 4\)'):
        converted(STATE | {'embed.weight': np.zeros((4, 5))})


def test_a_parameter_without_a_rule_is_named():
    with pytest.raises(InputError, match='model: norm/bias: expected'):
        converted(rules=[rule for rule in RULES if rule.target != 'norm/bias'])


def test_a_rule_without_a_parameter_is_named():
    with pytest.raises(InputError, match='model: norm/bias: the weights hold'):
        converted(template={**TEMPLATE, 'norm': {'scale': np.empty(4)}})
