"""The official GAIR checkpoint (zpl99/GAIR: release, and the earlier training code) to our tree.

Street view keys are those of transformers 4.x. Under transformers 5 the authors' own loader drops
them without a word; here a missing key is an error.
"""

from gair_jax.convert import croma, geoclip, hugging_face, layers, liif
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm

PROJECTIONS = {'rs': 'radar_proj', 'sv': 'optical_proj', 'location': 'location_proj'}
# Never read: an unused classifier, fixed tables, the frozen temperature, the bank, and what only
# checkpoints of the training code hold.
UNUSED = (
    'rs_encoder.layer_norm.*',
    'rs_encoder.head.*',
    'rs_patch_pos_encoding',
    'logit_scale',
    'queue_for_location',
    'queue_ptr_location',
    'queue_for_rs_encoding',
    'queue_ptr_rs',
    'rs_encoder_teacher.*',
    'sv_encoder_teacher.*',
    'ContrastLoss.*',
    'rs_student_projector.*',
    'sv_student_projector.*',
)
RS = 'rs_encoder.s2_encoder.'


def rules(template: Tree) -> list[Rule]:
    """The table for the sub-trees that `template` has."""
    table: list[Rule] = []
    if 'rs' in template:
        table += croma.rules(source=RS, final_norm='norm' in template['rs'])
    if 'sv' in template:
        table += hugging_face.rules('sv_encoder.', pooler='pooler' in template['sv'])
    if 'location' in template:
        hidden = geoclip.hidden_layers(template['location'])
        table += geoclip.rules(hidden, source='location_encoder.')
    if 'first' in template.get('nili', {}):
        table += liif.rules(liif.hidden_layers(template['nili']))
    if 'query' in template.get('nili', {}):
        table += attention_query()
    for side in template.get('projections', {}):
        table += linear(f'projections/{side}', PROJECTIONS[side])
    return table


def attention_query() -> list[Rule]:
    """The table of the attention query."""
    target, source = 'nili/transformer/layers', 'nerf_fn.layers.'
    return [
        Rule('nili/query', 'query_feature', lambda a: a[0, 0]),
        *layers.croma(target, source, fused='create_qkv', out='out', last=2),
        *norm('nili/norm', 'nerf_fn.norm_out'),
    ]


def unused(template: Tree) -> tuple[str, ...]:
    """Patterns of official keys that have no place in the sub-trees that `template` has."""
    nili, absent = template.get('nili', {}), list(UNUSED)
    if 'rs' not in template:
        absent.append('rs_encoder.*')
    elif 'norm' not in template['rs']:
        absent.append(f'{RS}transformer.norm_out.*')
    if 'sv' not in template:
        absent.append('sv_encoder.*')
    elif 'pooler' not in template['sv']:
        absent.append('sv_encoder.pooler.*')
    if 'location' not in template:
        absent.append('location_encoder.*')
    if 'first' not in nili:
        absent.append('imnet.*')
    if 'query' not in nili:
        absent += ['nerf_fn.*', 'query_feature']
    for side, name in PROJECTIONS.items():
        if side not in template.get('projections', {}):
            absent.append(f'{name}.*')
    return tuple(absent)


def params(state: State, template: Tree) -> Tree:
    """Our parameters from the official ones; `template` is the tree whose shapes are expected.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules(template), template, unused(template))
