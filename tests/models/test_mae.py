import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.models import mae
from tests.models import small

BATCH = small.batch()
NOISE = jnp.asarray(np.random.default_rng(5).uniform(size=(3, 16)), jnp.float32)


def built(photo=True, **settings):
    config = small.config()
    config.model.mae.photo = photo
    for name, value in settings.items():
        setattr(config.model.mae, name, value)
    model = mae.build(config)
    return model, small.drawn(model.init)


def test_the_lowest_noise_is_kept():
    noise = jnp.asarray([[0.3, 0.9, 0.1, 0.5]])
    keep, restore, mask = mae.keep_order(noise, 0.5)
    np.testing.assert_array_equal(keep, [[2, 0]])
    np.testing.assert_array_equal(restore, [[1, 3, 0, 2]])
    np.testing.assert_array_equal(mask, [[0, 1, 0, 1]])


def test_targets_are_ordered_row_column_channel():
    image = jnp.arange(8.0 * 12 * 3).reshape(1, 8, 12, 3)
    block = np.asarray(image)[0, 4:8, 8:12]
    np.testing.assert_array_equal(mae.pixel_patches(image, 4)[0, 5], block.ravel())


@pytest.mark.parametrize('photo', [False, True])
def test_shapes(photo):
    model, params = built(photo)
    out = jax.jit(model.apply)(params, BATCH, NOISE)
    assert out['pred'].shape == out['target'].shape == (3, 16, 8 * 8 * 10)
    assert out['latent'].shape == (3, 4, 16)
    np.testing.assert_array_equal(out['mask'].sum(1), 12)
    assert ('photo_pred' in out) == photo
    if photo:
        assert out['photo_pred'].shape == out['photo_target'].shape == (3, 1, 4 * 4 * 3)


def test_the_encoder_is_the_one_of_gair():
    model, _ = built()
    encoder = small.rs_alone()['rs']
    params = model.init(jax.random.key(0))
    # Two programs may round the last bit of a draw differently.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), params['rs'], encoder)


def test_hidden_pixels_do_not_reach_the_prediction():
    model, params = built()
    hidden = int(jnp.argmax(NOISE[0]))
    row, column = 8 * (hidden // 4), 8 * (hidden % 4)
    changed = BATCH | {'rs': BATCH['rs'].at[0, row : row + 8, column : column + 8].add(1)}
    apply = jax.jit(model.apply)
    before, after = apply(params, BATCH, NOISE), apply(params, changed, NOISE)
    np.testing.assert_array_equal(before['pred'], after['pred'])
    assert jnp.abs(before['target'] - after['target']).max() > 0


def test_the_photo_s_place_matters_and_its_pixels_do_not():
    model, params = built()
    apply = jax.jit(model.apply)
    before = apply(params, BATCH, NOISE)
    moved = apply(params, BATCH | {'xy': -BATCH['xy']}, NOISE)
    blind = apply(params, BATCH | {'sv': jnp.zeros_like(BATCH['sv'])}, NOISE)
    assert jnp.abs(before['photo_pred'] - moved['photo_pred']).max() > 1e-3
    np.testing.assert_array_equal(before['photo_pred'], blind['photo_pred'])


@pytest.mark.slow
def test_every_parameter_learns():
    model, params = built()

    def loss(params):
        out = model.apply(params, BATCH, NOISE)
        hidden = jnp.mean((out['pred'] - out['target']) ** 2 * out['mask'][..., None])
        return hidden + jnp.mean((out['photo_pred'] - out['photo_target']) ** 2)

    grads = jax.jit(jax.grad(loss))(params)
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert jnp.isfinite(grad).all(), path
        # No softmax sees a bias on its keys.
        assert grad.any() != ([key.key for key in path[-2:]] == ['key', 'bias']), path


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('mask_ratio', 1.0, 'model.mae.mask_ratio: .* found 1.0'),
        ('mask_ratio', 0.99, 'leaves a patch of 16, found 0.99'),
        ('photo_side', 0, 'model.mae.photo_side: .* found 0'),
        ('decoder_heads', 3, 'model.mae.decoder_heads: .* found 3'),
        ('decoder_depth', 0, 'model.mae.decoder_depth: .* found 0'),
        ('decoder_dim', 6, 'model.mae.decoder_'),
    ],
)
def test_bad_settings_are_named(field, value, message):
    with pytest.raises(InputError, match=message):
        built(**{field: value})


@pytest.mark.parametrize('side', ['rs', 'sv'])
def test_needed_encoders_are_named(side):
    config = small.config()
    getattr(config.model, side).enabled = False
    with pytest.raises(InputError, match=f'model.{side}.enabled: .* expects True, found False'):
        mae.build(config)
