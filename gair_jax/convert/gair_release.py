"""The official GAIR checkpoint (zpl99/GAIR: release, and the earlier training code) and our tree.

The street view encoder is transformers' ViTModel, whose release 5 renamed its layers. Under it the
authors' own loader leaves them at random without a word; here both spellings are read, and a
missing key is an error.
"""

from gair_jax.convert import croma, geoclip, hugging_face, layers, liif
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm

PROJECTIONS = {'rs': 'radar_proj', 'sv': 'optical_proj', 'location': 'location_proj'}
# Never read: an unused classifier, fixed tables, the frozen temperature, the bank.
UNUSED = (
    'rs_encoder.layer_norm.*',
    'rs_encoder.head.*',
    'rs_patch_pos_encoding',
    'logit_scale',
    'queue_for_location',
    'queue_ptr_location',
)
# What only checkpoints of the training code hold.
HISTORY = (
    'queue_for_rs_encoding',
    'queue_ptr_rs',
    'rs_encoder_teacher.*',
    'sv_encoder_teacher.*',
    'ContrastLoss.*',
    'rs_student_projector.*',
    'sv_student_projector.*',
)
RS, SV, LOCATION = 'rs_encoder.s2_encoder.', 'sv_encoder.', 'location_encoder.'


def rules(template: Tree, prefix: str = '', spelling: str = '4') -> list[Rule]:
    """The table for the sub-trees that `template` has; `spelling` is that of `hugging_face`."""
    table: list[Rule] = []
    if 'rs' in template:
        table += croma.rules(source=prefix + RS, final_norm='norm' in template['rs'])
    if 'sv' in template:
        table += hugging_face.rules(template['sv'], prefix + SV, spelling=spelling)
    if 'location' in template:
        hidden = geoclip.hidden_layers(template['location'])
        table += geoclip.rules(hidden, source=prefix + LOCATION)
    if 'first' in template.get('nili', {}):
        table += liif.rules(liif.hidden_layers(template['nili']), source=f'{prefix}imnet')
    if 'query' in template.get('nili', {}):
        table += attention_query(prefix)
    for side in template.get('projections', {}):
        table += linear(f'projections/{side}', prefix + PROJECTIONS[side])
    return table


def attention_query(prefix: str = '') -> list[Rule]:
    """The table of the attention query."""
    target, source = 'nili/transformer/layers', f'{prefix}nerf_fn.layers.'
    return [
        layers.batched('nili/query', f'{prefix}query_feature', 2),
        *layers.croma(target, source, fused='create_qkv', out='out', last=2),
        *norm('nili/norm', f'{prefix}nerf_fn.norm_out'),
    ]


def absent(template: Tree) -> list[str]:
    """Patterns of the release's keys that have no place in the sub-trees that `template` has."""
    nili, patterns = template.get('nili', {}), list(UNUSED)
    if 'rs' not in template:
        patterns.append(f'{RS}*')
    if 'sv' in template:
        patterns += hugging_face.unused(template['sv'], SV)
    else:
        patterns.append(f'{SV}*')
    if 'location' not in template:
        patterns.append(f'{LOCATION}*')
    if 'first' not in nili:
        patterns.append('imnet.*')
    if 'query' not in nili:
        patterns += ['nerf_fn.*', 'query_feature']
    for side, name in PROJECTIONS.items():
        if side not in template.get('projections', {}):
            patterns.append(f'{name}.*')
    return patterns


def unused(template: Tree, prefix: str = '') -> tuple[str, ...]:
    """Patterns of official keys, those of the training code too, that we have no place for."""
    patterns = [*absent(template), *HISTORY]
    if 'norm' not in template.get('rs', {}):
        patterns.append(f'{RS}transformer.norm_out.*')
    return tuple(prefix + pattern for pattern in patterns)


def params(state: State, template: Tree) -> Tree:
    """Our parameters from the official ones; `template` is the tree whose shapes are expected.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    table = rules(template, spelling=hugging_face.spelling(state, SV))
    return convert(state, table, template, unused(template))
