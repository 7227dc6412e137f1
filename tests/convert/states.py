"""State dicts of every layout that is understood, drawn by rule at small sizes."""

import numpy as np

from tests.convert.test_gair_release import official

D, MLP, DEPTH = 16, 32, 2


def drawn(shapes):
    rng = np.random.default_rng(3)
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def gair():
    """The release, with the whole-number and scalar entries as its class stores them."""
    state = official()
    state['queue_ptr_location'] = np.array([2**40 + 1], np.int64)
    return state


def history():
    """A checkpoint of the earlier training code: more of everything."""
    rs = 'rs_encoder.s2_encoder.transformer.norm_out'
    more = {f'{rs}.weight': (D,), f'{rs}.bias': (D,), 'queue_for_rs_encoding': (D, 12)}
    for name in ('radar', 'optical', 'location'):
        more |= {f'ContrastLoss.{name}_proj.weight': (D, D), f'ContrastLoss.{name}_proj.bias': (D,)}
    for side in ('rs', 'sv'):
        more[f'{side}_student_projector.0.weight'] = (D, D)
    teachers = {
        key.replace('_encoder.', '_encoder_teacher.', 1): value.shape
        for key, value in official().items()
        if key.startswith(('rs_encoder.', 'sv_encoder.'))
    }
    pointers = {'queue_ptr_rs': np.array([4], np.int64), 'ContrastLoss.logit_scale': np.float32(2)}
    return {**gair(), **drawn(more | teachers), **{k: np.asarray(v) for k, v in pointers.items()}}


def croma(bands=12):
    """CROMA with its other encoders, one array of each."""
    state = {
        key.removeprefix('rs_encoder.'): value
        for key, value in official().items()
        if key.startswith('rs_encoder.s2_encoder')
    }
    shapes = {'s2_encoder.linear_input.weight': (D, 64 * bands)}
    shapes |= {f's2_encoder.transformer.norm_out.{k}': (D,) for k in ('weight', 'bias')}
    shapes |= {'s1_encoder.linear_input.bias': (D,), 's1_GAP_FFN.0.weight': (D,)}
    shapes |= {'s2_GAP_FFN.0.weight': (D,), 'joint_encoder.norm_out.bias': (D,)}
    return state | drawn(shapes)


def geoclip(sigma=(1, 1, 1), out=12):
    """GeoCLIP's location encoder, in a file of its own."""
    shapes = {}
    for branch in range(len(sigma)):
        name = f'LocEnc{branch}'
        shapes[f'{name}.capsule.0.b'] = (64, 2)
        shapes |= {f'{name}.capsule.1.weight': (8, 128), f'{name}.capsule.1.bias': (8,)}
        shapes |= {f'{name}.capsule.3.weight': (8, 8), f'{name}.capsule.3.bias': (8,)}
        shapes |= {f'{name}.head.0.weight': (out, 8), f'{name}.head.0.bias': (out,)}
    state = drawn(shapes)
    for branch, scale in enumerate(sigma):
        state[f'LocEnc{branch}.capsule.0.b'] *= np.float32(scale)
    return state


def image_head(features=20, out=12):
    """GeoCLIP's image head, in a file of its own."""
    return drawn(
        {
            '0.weight': (features, features),
            '0.bias': (features,),
            '2.weight': (out, features),
            '2.bias': (out,),
        }
    )


def vit(dim=D, norm='norm', head=True, prefix=''):
    """A ViT of timm on 32 x 32 pixels."""
    shapes = {'cls_token': (1, 1, dim), 'pos_embed': (1, 5, dim)}
    shapes |= {'patch_embed.proj.weight': (dim, 3, 16, 16), 'patch_embed.proj.bias': (dim,)}
    for i in range(DEPTH):
        block = f'blocks.{i}'
        for name, (n, m) in {
            'attn.qkv': (3 * dim, dim),
            'attn.proj': (dim, dim),
            'mlp.fc1': (MLP, dim),
            'mlp.fc2': (dim, MLP),
        }.items():
            shapes |= {f'{block}.{name}.weight': (n, m), f'{block}.{name}.bias': (n,)}
        for name in ('norm1', 'norm2'):
            shapes |= {f'{block}.{name}.{k}': (dim,) for k in ('weight', 'bias')}
    shapes |= {f'{norm}.{k}': (dim,) for k in ('weight', 'bias')}
    if head:
        shapes |= {'head.weight': (10, dim), 'head.bias': (10,)}
    return {prefix + key: value for key, value in drawn(shapes).items()}


def mae(norm='norm'):
    """MAE's encoder with a rest of its decoder, or tuned, with its norm after the pooling."""
    if norm == 'fc_norm':
        return vit(norm=norm)
    return vit(head=False) | drawn({'mask_token': (1, 1, 8), 'decoder_embed.weight': (8, D)})


def moco():
    """MoCo v3's trunk beside its momentum encoder and predictor."""
    others = {'module.predictor.0.weight': (4, 4), 'module.momentum_encoder.cls_token': (1, 1, D)}
    return vit(prefix='module.base_encoder.') | drawn(others)


def taxabind():
    """TaxaBind's class: the location encoder beside the image encoder that it is trained with."""
    held = {f'location_encoder.{key}': value for key, value in geoclip().items()}
    others = {'model.visual.conv1.weight': (4, 3, 2, 2), 'model.positional_embedding': (7, 4)}
    return {**held, **drawn(others), 'logit_scale': np.array(2.6, np.float32)}


def satclip(degrees=4):
    """SatCLIP as Lightning saves it: the network under both of its names, and the image side."""
    shapes = {'nnet.layers.0.weight': (8, degrees**2), 'nnet.layers.0.bias': (8,)}
    shapes |= {'nnet.layers.1.weight': (8, 8), 'nnet.layers.1.bias': (8,)}
    shapes |= {'nnet.last_layer.weight': (12, 8), 'nnet.last_layer.bias': (12,)}
    network = drawn(shapes)
    state = {f'model.{key}': value for key, value in network.items()}
    state |= {f'model.location.{key}': value for key, value in network.items()}
    return state | drawn({'model.visual.conv1.weight': (4, 3, 2, 2), 'model.logit_scale': ()})


def torchspatial(features=6, name='rff'):
    """A location encoder of TorchSpatial with its class head."""
    layer = 'spa_enc.ffn.layers'
    shapes = {f'{layer}.0.linear.weight': (8, features), f'{layer}.0.linear.bias': (8,)}
    shapes |= {f'{layer}.0.layernorm.{part}': (8,) for part in ('weight', 'bias')}
    shapes |= {f'{layer}.1.linear.weight': (12, 8), f'{layer}.1.linear.bias': (12,)}
    shapes['class_emb.weight'] = (5, 12)
    if name == 'rff':
        position = 'spa_enc.position_encoder'
        shapes |= {f'{position}.dirvec': (2, features), f'{position}.shift': (features,)}
    return drawn(shapes)


def wrap():
    """TorchSpatial's residual network, with heads of classes and users."""
    shapes = {'feats.0.weight': (12, 4), 'feats.0.bias': (12,), 'class_emb.weight': (5, 12)}
    for i in range(2, 6):
        for part in ('w1', 'w2'):
            shapes |= {f'feats.{i}.{part}.weight': (12, 12), f'feats.{i}.{part}.bias': (12,)}
    return drawn(shapes | {'user_emb.weight': (3, 12)})


# What the arrays of a source do not tell.
SETTINGS = {
    'satclip': {'harmonics_calculation': 'analytic', 'legendre_polys': 4},
    'torchspatial': {
        'spa_enc_type': 'rff', 'spa_f_act': 'relu', 'map_range': [-162, -59, 20, 56],
    },
}  # fmt: skip
