import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.models import gair, reader
from tests.models import small

BATCH = small.batch()


def built(preset='paper', **fields):
    config = small.config(preset)
    for path, value in fields.items():
        *parents, name = path.split('__')
        section = config
        for parent in parents:
            section = getattr(section, parent)
        setattr(section, name, value)
    model = gair.build(config)
    return model, small.drawn(model.init)


@pytest.mark.parametrize(
    'preset', ['paper', 'release', pytest.param('history', marks=pytest.mark.slow)]
)
def test_presets_give_finite_embeddings_and_gradients(preset):
    model, params = built(preset)

    def total(params):
        out = model.apply(params, BATCH, key=jax.random.key(1))
        names = ('localized', 'loss_sv', 'location')
        return sum(jnp.sum(jnp.sin(out[name])) for name in names), out

    grads, out = jax.jit(jax.grad(total, has_aux=True))(params)
    assert out['patch_grid'].shape == (3, 4, 4, 16)
    for name in ('localized', 'rs', 'sv', 'location', 'loss_localized', 'loss_sv'):
        assert out[name].shape == (3, 16) and out[name].dtype == jnp.float32
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert jnp.isfinite(grad).all(), path
        assert grad.any() or path[-1].key in ('frequencies', 'bias'), path


@pytest.mark.slow
@pytest.mark.parametrize('kind', reader.KINDS)
def test_every_reader_gives_embeddings_at_points(kind):
    model, params = built(model__nili__kind=kind)
    assert ('nili' in params) == (kind in ('nili', 'attention'))
    grid = jax.jit(model.encode_rs)(params, BATCH['rs'])['patch_grid']
    points = jnp.tile(BATCH['xy'][:, None], (1, 2, 1))
    found = jax.jit(model.query)(params, grid, points)
    assert found.shape == (3, 2, 16)
    np.testing.assert_allclose(
        found[:, 0], jax.jit(model.apply)(params, BATCH)['localized'], atol=1e-5
    )


@pytest.mark.parametrize('side', ['rs', 'sv', 'location'])
def test_an_absent_encoder_leaves_no_parameters_and_no_outputs(side):
    model, params = built(**{f'model__{side}__enabled': False})
    out = jax.jit(model.apply)(params, {k: v for k, v in BATCH.items() if k != side})
    assert side not in params and side not in out
    name = {'rs': 'encode_rs', 'sv': 'encode_sv', 'location': 'encode_location'}[side]
    with pytest.raises(InputError, match=f'model.{side}.enabled'):
        getattr(model, name)(params, BATCH['lonlat' if side == 'location' else side])


def test_projections_act_where_the_loss_compares():
    model, params = built(model__projections=('sv', 'location'))
    out = jax.jit(model.apply)(params, BATCH)
    kernel, bias = (params['projections']['sv'][name] for name in ('kernel', 'bias'))
    np.testing.assert_allclose(out['loss_sv'], out['sv'] @ kernel + bias[None], atol=1e-5)
    np.testing.assert_array_equal(out['loss_localized'], out['localized'])
    assert jnp.abs(out['loss_location'] - out['location']).max() > 1e-3


def test_a_projection_may_change_the_width():
    model, params = built(model__embed_dim=12, model__projections=('sv',))
    out = jax.jit(model.apply)(params, BATCH)
    assert out['sv'].shape == (3, 16)
    assert out['loss_sv'].shape == out['loss_localized'].shape == out['location'].shape == (3, 12)


@pytest.mark.slow
def test_same_key_same_parameters_another_key_others():
    model, shaped = built()
    params = model.init(jax.random.key(0))
    jax.tree.map(lambda a, b: a.shape == b.shape or pytest.fail(str(a)), shaped, params)
    other = model.init(jax.random.key(1))
    assert not jnp.allclose(params['rs']['patch']['kernel'], other['rs']['patch']['kernel'])
    # No parameter depends on which other encoders there are.
    alone = small.rs_alone()
    jax.tree.map(np.testing.assert_array_equal, params['rs'], alone['rs'])


def test_dropout_needs_a_key():
    model, params = built(model__sv__hidden_dropout=0.5, model__rs__attention_dropout=0.5)
    apply = jax.jit(model.apply)
    calm, stirred = apply(params, BATCH), apply(params, BATCH, key=jax.random.key(1))
    for name in ('sv', 'rs'):
        assert jnp.abs(stirred[name] - calm[name]).max() > 1e-4


def test_bfloat16_is_close():
    model, params = built()
    coarse, _ = built(model__dtype='bfloat16')
    exact, found = (jax.jit(m.apply)(params, BATCH) for m in (model, coarse))
    for name in ('localized', 'sv'):
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name], exact[name], atol=0.5)
    np.testing.assert_array_equal(found['location'], exact['location'])


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('model__embed_dim', 24, "embed_dim: expected 16, the width of the sv side, or 'sv' in"),
        ('model__embed_dim', 0, 'embed_dim: expected at least 1, found 0'),
        ('model__projections', ('radar',), "model.projections: .* found 'radar'"),
        ('model__nili__kind', 'nearest', "model.nili.kind: .* found 'nearest'"),
        ('model__nili__schedule', 'fast', "model.nili.schedule: .* found 'fast'"),
        ('model__nili__padding', 'wrap', "model.nili.padding: .* found 'wrap'"),
        ('model__nili__coordinates', 'xy', "model.nili.coordinates: .* found 'xy'"),
        ('model__nili__hidden', (0,), r'model.nili.hidden: .* found \(0,\)'),
        ('input__rs__sensor', 'landsat', "found 'landsat'"),
        ('input__rs__size', 30, 'model.rs.patch: .* 30 x 30, found 8'),
    ],
)
def test_bad_settings_are_named(field, value, message):
    with pytest.raises(InputError, match=message):
        built(**{field: value})


@pytest.mark.parametrize(('field', 'value'), [('heads', 3), ('layers', 0)])
def test_bad_attention_settings_are_named(field, value):
    with pytest.raises(InputError, match=f'model.nili.{field}: .* found {value}'):
        built(model__nili__kind='attention', **{f'model__nili__{field}': value})


def test_an_unknown_schedule_of_a_query_is_refused():
    model, params = built()
    grid = jnp.zeros((3, 4, 4, 16))
    with pytest.raises(InputError, match="schedule: .* found 'fast'"):
        model.query(params, grid, BATCH['xy'][:, None], 'fast')


def test_bfloat16_encoders_give_the_same_for_pixels_rounded_before():
    """What the input pipeline relies on when it hands over bfloat16."""
    made = small.config()
    made.model.dtype = 'bfloat16'
    model = gair.build(made)
    params, batch = small.drawn(model.init), small.batch()
    rounded = {**batch, **{name: batch[name].astype(jnp.bfloat16) for name in ('rs', 'sv')}}
    apply = jax.jit(model.apply)
    expected, found = apply(params, batch), apply(params, rounded)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
