import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import EncoderConfig, InputError, ModelConfig
from gair_jax.models import vit
from gair_jax.models.transformer import TransformerSpec
from tests.models import small

LAYERS = TransformerSpec(dim=8, depth=2, heads=2, mlp_dim=16, rolled=True)
SPEC = vit.VitSpec(layers=LAYERS, patch=4, channels=3, image=(8, 12))
IMAGES = jax.random.normal(jax.random.key(0), (2, 8, 12, 3))


def encode(spec, images=IMAGES, **kwargs):
    module = vit.Vit(spec)
    params = small.drawn(module.init, jnp.zeros((1, *spec.image, spec.channels)))
    return jax.jit(module.apply)(params, images, **kwargs), params['params']


def test_patches_are_row_major_and_ordered_channel_row_column():
    image = jnp.arange(8.0 * 12 * 3).reshape(1, 8, 12, 3)
    patches = vit.patchify(image, 4)
    assert patches.shape == (1, 6, 48)
    block = np.asarray(image)[0, 4:8, 8:12]  # row 1, column 2: patch 1 * 3 + 2
    np.testing.assert_array_equal(patches[0, 5], block.transpose(2, 0, 1).ravel())


@pytest.mark.parametrize(
    ('position', 'class_token', 'pooling'),
    [
        ('learned', False, 'mean'),
        ('sincos', True, 'mean'),
        ('alibi', True, 'class'),
        ('learned', True, 'pooler'),
    ],
)
def test_shapes_and_pooling(position, class_token, pooling):
    spec = dataclasses.replace(SPEC, position=position, class_token=class_token, pooling=pooling)
    out, params = encode(spec)
    assert out['patch_tokens'].shape == (2, 6, 8)
    assert out['class_tokens'].shape == (2, int(class_token), 8)
    expected = {
        'mean': lambda: out['patch_tokens'].mean(1),
        'class': lambda: out['class_tokens'][:, 0],
        'pooler': lambda: jnp.tanh(
            out['class_tokens'][:, 0] @ params['pooler']['kernel'] + params['pooler']['bias'][None]
        ),
    }
    np.testing.assert_allclose(out['pooled'], expected[pooling](), atol=1e-6)
    assert ('position' in params) == (position == 'learned')


def test_final_norm_centres_each_token():
    out, params = encode(SPEC)
    centred = (out['patch_tokens'] - params['norm']['bias'][None, None]) / params['norm']['scale'][
        None, None
    ]
    np.testing.assert_allclose(centred.mean(-1), 0, atol=1e-5)
    out, params = encode(dataclasses.replace(SPEC, final_norm=False))
    assert 'norm' not in params
    assert jnp.abs(out['patch_tokens'].mean(-1)).max() > 1e-3


@pytest.mark.parametrize('position', ['sincos', 'alibi'])
def test_other_grids_need_no_new_parameters(position):
    spec = dataclasses.replace(SPEC, position=position)
    out, _ = encode(spec, jax.random.normal(jax.random.key(2), (1, 16, 4, 3)))
    assert out['patch_tokens'].shape == (1, 4, 8)


@pytest.mark.parametrize(
    ('position', 'class_token'), [('learned', True), ('sincos', False), ('alibi', True)]
)
def test_keeping_every_patch_in_another_order_reorders_the_tokens(position, class_token):
    spec = dataclasses.replace(SPEC, position=position, class_token=class_token)
    whole, _ = encode(spec)
    keep = jnp.asarray([[5, 0, 3, 1, 4, 2], [0, 1, 2, 3, 5, 4]])
    kept, _ = encode(spec, keep=keep)
    expected = jnp.take_along_axis(whole['patch_tokens'], keep[..., None], axis=1)
    np.testing.assert_allclose(kept['patch_tokens'], expected, atol=1e-5)


def test_hidden_patches_have_no_influence():
    keep = jnp.asarray([[1, 4], [0, 5]])
    spec = dataclasses.replace(SPEC, position='alibi')
    changed = IMAGES.at[0, :4, :4].add(1).at[1, :4, 4:8].add(1)  # patch 0 and patch 1
    before, after = encode(spec, keep=keep)[0], encode(spec, changed, keep=keep)[0]
    np.testing.assert_array_equal(before['patch_tokens'], after['patch_tokens'])


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (jnp.zeros((1, 8, 12, 4)), 'expected 3 channels .* found 4'),
        (jnp.zeros((1, 9, 12, 3)), 'divisible by 4, found 3 channels and 9 x 12'),
        (jnp.zeros((1, 12, 12, 3)), 'expects 8 x 12 pixels, found 12 x 12'),
    ],
)
def test_other_images_are_refused(images, message):
    with pytest.raises(InputError, match=message):
        encode(SPEC, images)


@pytest.mark.parametrize(('size', 'parameters'), [('Ti', 5.5e6), ('S', 21.7e6), ('B', 85.8e6)])
def test_sizes_have_the_published_parameter_counts(size, parameters):
    # DeiT (Touvron et al. 2021), table 1: 5 M, 22 M and 86 M with a head of 1000 classes.
    spec = vit.spec(
        EncoderConfig(size=size), ModelConfig(), channels=3, image=224, where='model.sv'
    )
    tree = jax.eval_shape(
        lambda: vit.Vit(spec).init(jax.random.key(0), jnp.zeros((1, 224, 224, 3)))
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(tree)) == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('size', 'XL', "model.sv.size: expected one of Ti, S, B, L, found 'XL'"),
        ('position', 'rope', "model.sv.position: .* found 'rope'"),
        ('pooling', 'max', "model.sv.pooling: .* found 'max'"),
        ('pooling', 'class', 'expects model.sv.class_token=True'),
        ('heads', 7, 'model.sv.heads: .* width 768, found 7'),
        ('patch', 15, 'model.sv.patch: .* 224 x 224, found 15'),
    ],
)
def test_bad_settings_are_named(field, value, message):
    encoder = dataclasses.replace(EncoderConfig(), **{field: value})
    with pytest.raises(InputError, match=message):
        vit.spec(encoder, ModelConfig(), channels=3, image=224, where='model.sv')


@pytest.mark.parametrize('field', ['dtype', 'remat'])
def test_bad_common_settings_are_named(field):
    model = dataclasses.replace(ModelConfig(), **{field: 'odd'})
    with pytest.raises(InputError, match=f"model.{field}: .* found 'odd'"):
        vit.spec(EncoderConfig(), model, channels=3, image=224, where='model.sv')


def layer_norm(x, params, eps=1e-6):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + eps)
    return scaled * np.asarray(params['scale']) + np.asarray(params['bias'])


@pytest.mark.slow
@pytest.mark.parametrize('class_token', [False, True])
def test_levels_are_what_a_shorter_model_gives(class_token):
    layers = dataclasses.replace(LAYERS, depth=4)
    spec = dataclasses.replace(SPEC, layers=layers, class_token=class_token)
    module = vit.Vit(spec)
    params = small.drawn(module.init, jnp.zeros((1, *spec.image, 3)))
    plain = module.apply(params, IMAGES)
    out = module.apply(params, IMAGES, levels=(0, 2, 3))
    assert out['levels'].shape == (3, 2, 6, 8)
    np.testing.assert_allclose(out['patch_tokens'], plain['patch_tokens'], atol=1e-6)
    for row, depth in enumerate((1, 3, 4)):
        short = dataclasses.replace(
            spec, layers=dataclasses.replace(layers, depth=depth), final_norm=False
        )
        tree = {k: v for k, v in params['params'].items() if k != 'norm'}
        tree['transformer'] = jax.tree.map(lambda leaf, n=depth: leaf[:n], tree['transformer'])
        expected = vit.Vit(short).apply({'params': tree}, IMAGES)['patch_tokens']
        np.testing.assert_allclose(out['levels'][row], expected, atol=1e-5)


def test_the_final_norm_may_go_to_the_last_level_listed():
    module = vit.Vit(SPEC)
    params = small.drawn(module.init, jnp.zeros((1, *SPEC.image, 3)))
    raw, normed = (
        np.asarray(module.apply(params, IMAGES, levels=(0,), norm_last=last)['levels'][0])
        for last in (False, True)
    )
    np.testing.assert_allclose(normed, layer_norm(raw, params['params']['norm']), atol=1e-5)


def test_mean_norm_pools_before_the_norm():
    spec = dataclasses.replace(SPEC, pooling='mean_norm')
    out, params = encode(spec)
    bare = dataclasses.replace(SPEC, final_norm=False)
    tree = {k: v for k, v in params.items() if k != 'norm'}
    raw = vit.Vit(bare).apply({'params': tree}, IMAGES)['patch_tokens']
    np.testing.assert_allclose(out['patch_tokens'], raw, atol=1e-6)
    expected = layer_norm(np.asarray(raw).mean(axis=1), params['norm'])
    np.testing.assert_allclose(out['pooled'], expected, atol=1e-5)
    with pytest.raises(InputError, match="'mean_norm' expects here.final_norm=True"):
        dataclasses.replace(spec, final_norm=False).check('here')
