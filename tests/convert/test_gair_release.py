"""The official layout, written out here from its description."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.convert import gair_release
from gair_jax.convert.table import flatten
from gair_jax.models import gair
from tests.models import small

D, MLP, F, HIDDEN = 16, 32, 8, 16  # sizes of tests.models.small


def official(depth=2):
    """Key -> array, of the official names at the sizes of `small.config('release')`."""
    shapes = {
        'rs_encoder.s2_encoder.linear_input': (D, 640),
        'rs_encoder.head': (10, D),
        'sv_encoder.pooler.dense': (D, D),
        'imnet': (D, 9 * D + 2),
        'optical_proj': (D, D),
        'radar_proj': (D, D),
        'location_proj': (D, D),
    }
    norms = ['rs_encoder.layer_norm', 'sv_encoder.layernorm', 'nerf_fn.norm_out']
    for scale in range(3):
        branch = f'location_encoder.LocEnc{scale}'
        shapes[f'{branch}.capsule.1'] = (HIDDEN, 2 * F)
        shapes[f'{branch}.head.0'] = (D, HIDDEN)
    arrays = {f'location_encoder.LocEnc{j}.capsule.0.b': (F, 2) for j in range(3)}
    for i in range(depth):
        for prefix, qkv, out, last in (
            (f'rs_encoder.s2_encoder.transformer.layers.{i}', 'to_qkv', 'to_out', 3),
            (f'nerf_fn.layers.{i}', 'create_qkv', 'out', 2),
        ):
            arrays[f'{prefix}.0.{qkv}.weight'] = (3 * D, D)
            shapes |= {f'{prefix}.0.{out}': (D, D)}
            width = MLP if qkv == 'to_qkv' else 4 * D
            shapes |= {f'{prefix}.1.net.0': (width, D), f'{prefix}.1.net.{last}': (D, width)}
            norms += [f'{prefix}.{block}.input_norm' for block in (0, 1)]
        prefix = f'sv_encoder.encoder.layer.{i}'
        for name in ('query', 'key', 'value'):
            shapes[f'{prefix}.attention.attention.{name}'] = (D, D)
        shapes[f'{prefix}.attention.output.dense'] = (D, D)
        shapes |= {f'{prefix}.intermediate.dense': (MLP, D), f'{prefix}.output.dense': (D, MLP)}
        norms += [f'{prefix}.layernorm_before', f'{prefix}.layernorm_after']
    for name, shape in shapes.items():
        arrays[f'{name}.weight'], arrays[f'{name}.bias'] = shape, shape[:1]
    for name in norms:
        arrays[f'{name}.weight'] = arrays[f'{name}.bias'] = (D,)
    arrays |= {
        'sv_encoder.embeddings.cls_token': (1, 1, D),
        'sv_encoder.embeddings.position_embeddings': (1, 5, D),
        'sv_encoder.embeddings.patch_embeddings.projection.weight': (D, 3, 16, 16),
        'sv_encoder.embeddings.patch_embeddings.projection.bias': (D,),
        'query_feature': (1, 1, D),
        'rs_patch_pos_encoding': (1, 16, D),
        'logit_scale': (),
        'queue_for_location': (2, 12),
        'queue_ptr_location': (1,),
    }
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in arrays.items()}


def template(**changes):
    config = small.config('release')
    for name, value in changes.items():
        setattr(config.model.nili, name, value)
    model = gair.build(config)
    return model, jax.eval_shape(model.init, jax.random.key(0))


def test_every_parameter_comes_from_the_official_one():
    _, tree = template()
    state = official()
    params = gair_release.params(state, tree)
    assert {k: v.shape for k, v in flatten(params).items()} == {
        k: v.shape for k, v in flatten(tree).items()
    }
    layers = params['rs']['transformer']['layers']
    fused = state['rs_encoder.s2_encoder.transformer.layers.1.0.to_qkv.weight']
    np.testing.assert_array_equal(layers['key']['kernel'][1], fused[D : 2 * D].T)
    np.testing.assert_array_equal(
        params['location']['frequencies'][2], state['location_encoder.LocEnc2.capsule.0.b']
    )
    np.testing.assert_array_equal(
        params['projections']['sv']['kernel'], state['optical_proj.weight'].T
    )


def test_imnet_is_a_convolution_and_two_columns():
    _, tree = template()
    state = official()
    first = gair_release.params(state, tree)['nili']['first']
    around = np.random.default_rng(1).normal(size=(3, 3, D)).astype(np.float32)
    unfolded = around.transpose(2, 0, 1).ravel()  # channel * 9 + ky * 3 + kx
    weight = state['imnet.weight']
    np.testing.assert_allclose(
        np.einsum('ijd,ijdk->k', around, first['kernel']), weight[:, :-2] @ unfolded, atol=1e-4
    )
    np.testing.assert_array_equal(first['offset_kernel'], weight[:, -2:].T)


def test_the_attention_query_takes_the_place_of_imnet():
    model, tree = template(kind='attention')
    params = gair_release.params(official(), tree)
    grid, xy = jnp.ones((1, 2, 2, D)), jnp.zeros((1, 1, 2))
    assert jnp.isfinite(jax.jit(model.query)(params, grid, xy)).all()


def test_the_training_code_s_extra_keys_are_known():
    _, tree = template()
    extra = {
        f'{prefix}.weight': np.zeros(3)
        for prefix in (
            'rs_encoder_teacher.x',
            'ContrastLoss.optical_proj',
            'sv_student_projector.0',
        )
    }
    extra |= {'rs_encoder.s2_encoder.transformer.norm_out.weight': np.zeros(D)}
    with_extra = gair_release.params(official() | extra, tree)
    jax.tree.map(np.testing.assert_array_equal, with_extra, gair_release.params(official(), tree))


def test_the_final_norm_is_required_where_the_model_has_one():
    config = small.config('release')
    config.model.rs.final_norm = True
    tree = jax.eval_shape(gair.build(config).init, jax.random.key(0))
    with pytest.raises(InputError, match=r'norm_out\.\w+: expected for our rs/norm/'):
        gair_release.params(official(), tree)


def renamed(state):
    """The street view layers as transformers 5 calls them (its modeling_vit.py)."""
    names = {
        'encoder.layer.': 'layers.',
        'attention.attention.query': 'attention.q_proj',
        'attention.attention.key': 'attention.k_proj',
        'attention.attention.value': 'attention.v_proj',
        'attention.output.dense': 'attention.o_proj',
        'intermediate.dense': 'mlp.fc1',
        'output.dense': 'mlp.fc2',
    }

    def new(key):
        for old, name in names.items():
            key = key.replace(old, name) if key.startswith('sv_encoder.') else key
        return key

    return {new(key): value for key, value in state.items()}


def test_street_view_names_of_transformers_5_are_read_too():
    _, tree = template()
    new = renamed(official())
    assert len(set(new) - set(official())) == 2 * 16  # of each layer all sixteen
    ours, same = (gair_release.params(state, tree) for state in (new, official()))
    jax.tree.map(np.testing.assert_array_equal, ours, same)


def test_a_mixture_of_both_spellings_is_refused():
    _, tree = template()
    mixed = official()
    mixed['sv_encoder.layers.1.mlp.fc1.weight'] = mixed.pop(
        'sv_encoder.encoder.layer.1.intermediate.dense.weight'
    )
    with pytest.raises(InputError, match=r'found nothing'):
        gair_release.params(mixed, tree)


def test_more_layers_than_the_model_has_are_refused():
    _, tree = template()
    with pytest.raises(InputError, match=r'layers\.2\..*expected 2 of these'):
        gair_release.params(official(depth=3), tree)
