import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gair_jax.config import InputError
from gair_jax.convert import layers, liif
from gair_jax.convert.table import convert, flatten, keys, linear, norm, qkv, restore, unflatten

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
    with pytest.raises(InputError, match=r'embed.weight: .* \(4, 6\), found \(4, 5\)'):
        converted(STATE | {'embed.weight': np.zeros((4, 5))})


def test_a_parameter_without_a_rule_is_named():
    with pytest.raises(InputError, match='model: norm/bias: expected'):
        converted(rules=[rule for rule in RULES if 'norm/bias' not in rule.targets])


def test_a_rule_without_a_parameter_is_named():
    with pytest.raises(InputError, match='model: norm/bias: the weights hold'):
        converted(template={**TEMPLATE, 'norm': {'scale': np.empty(4)}})


def test_whole_numbers_are_no_weights():
    with pytest.raises(InputError, match='norm.bias: expected floating-point numbers, found int64'):
        converted(STATE | {'norm.bias': np.arange(4)})


def test_what_was_read_is_restored_bit_for_bit():
    state = {k: np.asarray(v, np.float32) for k, v in STATE.items() if k != 'counter'}
    again = restore(converted(state), RULES)
    assert again.keys() == state.keys() == keys(RULES, TEMPLATE)
    for key, array in state.items():
        assert again[key].dtype == np.float32 and again[key].flags.c_contiguous
        np.testing.assert_array_equal(again[key], array)


def test_a_tree_with_a_parameter_too_many_is_not_restored():
    with pytest.raises(InputError, match='model: extra: expected a parameter'):
        restore({**converted(), 'extra': np.zeros(2)}, RULES)


def test_a_patch_that_is_no_square_is_refused():
    """Its kernel would have as many values as a square one."""
    rules = layers.patch_convolution('patch', 'proj')
    tree = unflatten({'patch/kernel': np.empty((48, 5)), 'patch/bias': np.empty(5)})
    state = {'proj.weight': np.zeros((5, 3, 4, 4)), 'proj.bias': np.zeros(5)}
    assert convert(state, rules, tree)['patch']['kernel'].shape == (48, 5)
    with pytest.raises(InputError, match=r'proj.weight: .*\(5, 3, 4, 4\), found \(5, 3, 2, 8\)'):
        convert(state | {'proj.weight': np.zeros((5, 3, 2, 8))}, rules, tree)


# Every kind of rule, with the shapes that its sources may have.
KINDS = {
    'linear': (linear('a', 'a')[0], lambda n, m: (n, m)),
    'norm': (norm('a', 'a')[0], lambda n, m: (n,)),
    'qkv': (qkv('a', 'a', bias=True)[0], lambda n, m: (3 * n, m)),
    'qkv bias': (qkv('a', 'a', bias=True)[1], lambda n, m: (3 * n,)),
    'patches': (layers.patch_convolution('a', 'a', 5)[0], lambda n, m: (n, 5, m, m)),
    'one batch axis': (layers.batched('a', 'a'), lambda n, m: (1, n, m)),
    'two batch axes': (layers.batched('a', 'a', 2), lambda n, m: (1, 1, n)),
    'implicit, x first': (liif.rules(0)[0], lambda n, m: (n, 9 * m + 2)),
    'implicit, row first': (liif.rules(0, row_first=True)[0], lambda n, m: (n, 9 * m + 2)),
}


@pytest.mark.parametrize('kind', KINDS)
@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_kind_of_rule_joins_what_it_split(kind, n, m, seed):
    rule, shape = KINDS[kind]
    array = np.random.default_rng(seed).normal(size=shape(n, m)).astype(np.float32)
    parts = rule.split(array)
    assert len(parts) == len(rule.targets)
    assert sum(part.size for part in parts) == array.size
    np.testing.assert_array_equal(rule.join(*parts), array)
