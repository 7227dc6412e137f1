"""Batches on a CPU: cut, computed and put together again, in either compute type."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gair_jax
from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.serve import program
from gair_jax.serve.program import Program, chunk_rows, placed
from tests.models import small

LARGE = 1e10


@pytest.mark.parametrize(
    ('cores', 'rows', 'chunk'),
    [(2, 1, 0), (2, 2, 1), (2, 4, 2), (2, 8, 4), (2, 32, 4), (8, 32, 4), (16, 32, 2), (64, 32, 0)],
)
def test_no_core_is_left_without_a_chunk(cores, rows, chunk, monkeypatch):
    monkeypatch.setattr(program, 'cores', lambda: cores)
    assert chunk_rows(rows, LARGE) == chunk
    assert chunk_rows(rows, program.LEAST_FLOPS / 2) == 0


@pytest.mark.parametrize('rows', [1, 2, 6, 9])
def test_chunks_give_what_the_whole_batch_gives(rows, monkeypatch):
    monkeypatch.setattr(program, 'cores', lambda: 2)
    config = small.config()
    model = gair.build(config)
    params = small.drawn(model.init)
    draw = np.random.default_rng(0)
    photos = draw.standard_normal((rows, *model.sv.spec.image, 3), np.float32)
    expected = jax.jit(model.encode_sv)(params, photos)
    seen = []

    def encode(params, photos):
        seen.append(len(photos))
        return model.encode_sv(params, photos)

    found = Program(encode, placed(params, config), LARGE)(photos)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), found, expected)
    assert seen == {1: [1], 2: [1], 6: [3], 9: [4, 1]}[rows]


def test_bfloat16_is_near_float32_and_says_so(tiny_checkpoint, tiny, photos):
    model = gair_jax.load(tiny_checkpoint, compute='bfloat16')
    found, expected = (m.encode_sv(photos, normalize=True) for m in (model, tiny))
    assert found.dtype == np.float32
    cosines = (found * expected).sum(axis=-1)
    assert 0 < 1 - cosines.min() < 1e-3
    assert (tiny.config.model.dtype, model.config.model.dtype) == ('float32', 'bfloat16')
    assert model.origin == tiny.origin


def test_parameters_are_given_back_in_the_model_s_form(tiny_checkpoint, tiny):
    expected = small.drawn(gair.build(tiny.config).init)
    jax.tree.map(np.testing.assert_array_equal, tiny.params, expected)
    rounded = gair_jax.load(tiny_checkpoint, compute='bfloat16').params
    assert {leaf.dtype for leaf in jax.tree.leaves(rounded)} == {jnp.dtype('float32')}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-8), rounded, expected)


def test_another_compute_type_is_refused(tiny_checkpoint):
    with pytest.raises(InputError, match='compute: expected one of float32, bfloat16, found'):
        gair_jax.load(tiny_checkpoint, compute='float16')
