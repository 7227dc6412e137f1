import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gair_jax.config import BankConfig, InputError
from gair_jax.train import memory_bank
from tests.shared import shared

KEY = jax.random.key(0)
PUSH = jax.jit(memory_bank.push)


def positions(size):
    return memory_bank.create(BankConfig(size=size), 4, KEY)


def test_parity_history_queue():
    with np.load(shared('parity/gair/history_location_queue.npz')) as case:
        start, batches = case['in/queue0'], case['in/batches']
        expected = {k[4:]: case[k] for k in case.files if k.startswith('out/')}
    bank = memory_bank.MemoryBank(
        lonlat=jnp.asarray(start.T),
        embeddings=jnp.zeros((12, 0)),
        valid=jnp.ones(12, bool),
        cursor=jnp.int32(0),
    )
    for n, batch in enumerate(batches):
        bank = PUSH(bank, jnp.asarray(batch), jnp.ones(4, bool))
        assert bank.cursor == expected[f'ptr{n}'][0]
        if f'queue{n}' in expected:
            np.testing.assert_array_equal(bank.content.T, expected[f'queue{n}'])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), size=st.sampled_from([3, 5, 8]), rows=st.sampled_from([2, 4, 20]))
def test_a_ring_of_the_last_valid_rows(seed, size, rows):
    """Against a plain list; partial batches, wrap-around, more rows than slots."""
    rng = np.random.default_rng(seed)
    bank, ring, cursor = positions(size), [None] * size, 0
    for _ in range(4):
        values = rng.normal(size=(rows, 2)).astype(np.float32)
        valid = rng.random(rows) < 0.6
        bank = PUSH(bank, jnp.asarray(values), jnp.asarray(valid))
        for value in values[valid]:
            ring[cursor], cursor = value, (cursor + 1) % size
    assert bank.cursor == cursor
    np.testing.assert_array_equal(bank.valid, [slot is not None for slot in ring])
    for slot, content in zip(ring, np.asarray(bank.content), strict=True):
        np.testing.assert_array_equal(content, np.zeros(2) if slot is None else slot)


def test_nothing_valid_changes_nothing():
    bank = PUSH(positions(5), jnp.ones((3, 2)), jnp.array([True, True, False]))
    again = PUSH(bank, jnp.zeros((3, 2)), jnp.zeros(3, bool))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), bank, again)))


def test_embeddings_are_kept_beside_their_places():
    bank = memory_bank.create(BankConfig(size=5, content='embeddings'), 4, KEY)
    lonlat, values = jnp.arange(6.0).reshape(3, 2), jnp.arange(12.0).reshape(3, 4)
    bank = PUSH(bank, lonlat, jnp.array([True, False, True]), values)
    np.testing.assert_array_equal(bank.content[:2], values[jnp.array([0, 2])])
    np.testing.assert_array_equal(bank.lonlat[:2], lonlat[jnp.array([0, 2])])
    assert bank.content.shape == (5, 4) and bank.cursor == 2


def test_null_island_entries_lie_within_a_degree_of_the_origin():
    bank = memory_bank.create(BankConfig(size=64, start='null_island'), 4, KEY)
    np.testing.assert_allclose(jnp.linalg.norm(bank.lonlat, axis=1), 1, rtol=1e-6)
    assert bank.valid.all() and bank.cursor == 0
    other = memory_bank.create(BankConfig(size=64, start='null_island'), 4, jax.random.key(1))
    assert (bank.lonlat != other.lonlat).all()
    assert not positions(64).valid.any()


def test_it_has_the_shape_of_its_structure_under_transformations():
    """What jit, eval_shape and checkpoints ask of it."""
    shapes = jax.eval_shape(lambda key: memory_bank.create(BankConfig(size=8), 4, key), KEY)
    assert shapes.lonlat.shape == (8, 2) and shapes.cursor.dtype == jnp.int32
    bank = PUSH(positions(8), jnp.ones((3, 2)), jnp.ones(3, bool))
    assert jax.tree.map(lambda x: x.dtype, bank) == jax.tree.map(lambda x: x.dtype, positions(8))


@pytest.mark.parametrize(
    ('field', 'bad'), [('size', -1), ('content', 'places'), ('start', 'random')]
)
def test_refusals(field, bad):
    with pytest.raises(InputError, match=f'bank.{field}: expected .*found {bad!r}'):
        memory_bank.create(BankConfig(**{field: bad}), 4, KEY)
