"""Which form attention takes, and that cuDNN's is called with what gives the plain form's numbers.

cuDNN itself runs on no CPU. `jax.nn.dot_product_attention` takes the same arguments for another
implementation, XLA's, which stands in for it here.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AbstractDevice, AbstractMesh

from gair_jax import presets
from gair_jax.config import InputError
from gair_jax.models import attention, gair
from gair_jax.models.attention import Case, Choice, choose
from gair_jax.models.transformer import Transformer, TransformerSpec
from tests.models import small

GPU = AbstractMesh((1,), ('x',), abstract_device=AbstractDevice('NVIDIA H200', 132, 'gpu'))
GOOD = Case(dtype='bfloat16', head=64, tokens=196, biased=False, dropped=False)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({}, ''),
        ({'biased': True, 'tokens': 144, 'head': 48}, ''),
        ({'tokens': 197}, ''),
        ({'tokens': 64}, ''),
        ({'dtype': 'float32'}, 'expects model.dtype bfloat16, found float32'),
        ({'dropped': True}, 'expects attention_dropout 0, found more'),
        ({'head': 12}, 'expects heads of a width divisible by 8, at most 128, found 12'),
        ({'head': 256}, 'expects heads of a width divisible by 8, at most 128, found 256'),
        ({'tokens': 64, 'biased': True}, 'no safe gradient for 64 tokens'),
        ({'tokens': 192, 'biased': True}, 'no safe gradient for 192 tokens'),
        ({'tokens': 63}, 'no safe gradient for 63 tokens'),
        ({'tokens': 191}, 'no safe gradient for 191 tokens'),
    ],
    ids=str,
)
def test_on_a_gpu_cudnn_is_taken_unless_something_stands_in_its_way(change, reason):
    case = GOOD._replace(**change)
    with jax.sharding.use_abstract_mesh(GPU):
        found = choose('auto', case)
        assert found.kind == ('plain' if reason else 'cudnn')
        assert reason in found.reason and bool(found.reason) == bool(reason)
        assert choose('plain', case) == Choice('plain', '')
        if reason:
            with pytest.raises(InputError, match='model.attention: cudnn .*' + reason):
                choose('cudnn', case)
        else:
            assert choose('cudnn', case) == Choice('cudnn', '')


@pytest.mark.parametrize(
    ('platform', 'name'), [('cpu', 'cpu'), ('gpu', 'AMD Instinct MI300X'), ('tpu', 'TPU v5p')]
)
def test_elsewhere_it_is_plain_and_cudnn_is_refused(platform, name):
    mesh = AbstractMesh((1,), ('x',), abstract_device=AbstractDevice(name, None, platform))
    with jax.sharding.use_abstract_mesh(mesh):
        assert choose('auto', GOOD).kind == 'plain'
        with pytest.raises(InputError, match=f'expects an NVIDIA GPU, found {name}'):
            choose('cudnn', GOOD)


def test_without_a_mesh_the_first_device_decides():
    assert choose('auto', GOOD) == Choice('plain', 'expects an NVIDIA GPU, found cpu')


def test_a_run_can_say_what_it_took():
    assert Choice('cudnn', '').sentence('sv') == 'Attention of sv is that of cuDNN.'
    assert Choice('plain', '').sentence('rs') == 'Attention of rs is plain.'
    assert 'plain: cudnn expects model.dtype' in choose(
        'auto', GOOD._replace(dtype='float32')
    ).sentence('rs')


@pytest.mark.parametrize(
    ('setting', 'value', 'message'),
    [
        (
            'attention',
            'flash',
            "model.attention: expected one of auto, plain, cudnn, found 'flash'",
        ),
        ('dtype', 'float32', 'cudnn expects model.dtype bfloat16, found float32 .model.rs'),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(setting, value, message):
    config = presets.paper()
    config.model.dtype, config.model.attention = 'bfloat16', 'cudnn'
    setattr(config.model, setting, value)
    with pytest.raises(InputError, match=message):
        gair.build(config)


def test_dropout_and_cudnn_exclude_each_other():
    config = presets.paper()
    config.model.dtype, config.model.attention = 'bfloat16', 'cudnn'
    config.model.sv.attention_dropout = 0.1
    with pytest.raises(InputError, match=r'expects attention_dropout 0, found more .model\.sv'):
        gair.build(config)


@pytest.fixture
def calls(monkeypatch):
    """Arguments of each call of cuDNN's attention, which XLA answers."""
    seen = []
    real = jax.nn.dot_product_attention

    def stand_in(query, key, value, bias, *, key_value_seq_lengths, implementation):
        assert implementation == 'cudnn'
        seen.append((query, bias, key_value_seq_lengths))
        return real(
            query, key, value, bias, key_value_seq_lengths=key_value_seq_lengths,
            implementation='xla',
        )  # fmt: skip

    monkeypatch.setattr(jax.nn, 'dot_product_attention', stand_in)
    return seen


def drawn(tokens, heads=2, width=8, rows=3):
    draw = np.random.default_rng(0)
    shape = (rows, tokens, heads, width)
    return tuple(jnp.asarray(draw.normal(size=shape), jnp.float32) for _ in range(3))


@pytest.mark.slow
@pytest.mark.parametrize('tokens', [6, 7])
@pytest.mark.parametrize('bias', [None, (1, 2), (3, 2), (1, 1)], ids=str)
def test_cudnn_is_asked_for_the_plain_form_s_numbers_and_slopes(tokens, bias, calls):
    given = drawn(tokens)
    if bias is not None:
        bias = jnp.asarray(np.random.default_rng(1).normal(size=(*bias, tokens, tokens)))
        bias = bias.astype(jnp.float32)

    def loss(form, *given):
        return jnp.sum(jnp.sin(form(*given)))

    def plain(*given):
        return attention.plain(*given, bias, nn.Dropout(0.0).bind({}), True)

    def fused(*given):
        return attention.cudnn(*given, bias)

    np.testing.assert_allclose(fused(*given), plain(*given), atol=1e-5)
    slopes = [jax.grad(loss, (1, 2, 3))(form, *given) for form in (fused, plain)]
    for found, expected in zip(*slopes, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    query, passed, lengths = calls[0]
    assert query.shape[1] % 2 == 0
    assert (lengths is None) == (tokens % 2 == 0)
    if bias is not None:
        assert passed.shape == (len(bias), 2, *query.shape[1:2] * 2)


def test_a_bias_is_given_in_the_type_of_the_queries(calls):
    given = [x.astype(jnp.bfloat16) for x in drawn(6)]
    attention.cudnn(*given, jnp.ones((1, 2, 6, 6), jnp.float32))
    assert calls[0][1].dtype == jnp.bfloat16


def test_every_layer_takes_the_chosen_form(calls):
    spec = TransformerSpec(dim=16, depth=2, heads=2, mlp_dim=16, dtype='bfloat16')
    tokens = jnp.ones((2, 5, 16))
    params = small.drawn(Transformer(spec).init, tokens)
    calls.clear()

    def traced(setting):
        module = Transformer(dataclasses.replace(spec, attention=setting))
        with jax.sharding.use_abstract_mesh(GPU):
            jax.eval_shape(module.apply, params, tokens)
        return len(calls)

    assert traced('plain') == 0
    assert traced('auto') > 0


def test_the_paper_s_encoders_take_it_and_the_release_s_are_padded():
    config = presets.paper()
    config.model.dtype = 'bfloat16'
    release = presets.release()
    release.model.dtype = 'bfloat16'
    with jax.sharding.use_abstract_mesh(GPU):
        for made in (config, release):
            assert gair.rs_encoder(made).spec.attention.kind == 'cudnn'
            assert gair.sv_encoder(made).spec.attention.kind == 'cudnn'
