"""ViTModel of transformers (the release's street view encoder) and our `sv` sub-tree."""

import re

from gair_jax.convert import layers
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm

POSITION, TOKEN = 'embeddings.position_embeddings', 'embeddings.cls_token'


def rules(tree: Tree, source: str = '', target: str = 'sv', spelling: str = '4') -> list[Rule]:
    """The table, for what our sub-tree `tree` has, of the encoder whose keys start with `source`.

    `spelling` is the release of transformers whose names are meant, '4' or '5'.
    """
    table = [
        *layers.patch_convolution(
            f'{target}/patch', f'{source}embeddings.patch_embeddings.projection'
        ),
        *layers.hugging_face(f'{target}/transformer/layers', source, spelling),
    ]
    if 'position' in tree:
        table.append(layers.batched(f'{target}/position', f'{source}{POSITION}'))
    if 'class_token' in tree:
        table.append(layers.batched(f'{target}/class_token', f'{source}{TOKEN}', 2))
    if 'norm' in tree:
        table += norm(f'{target}/norm', f'{source}layernorm')
    if 'pooler' in tree:
        table += linear(f'{target}/pooler', f'{source}pooler.dense')
    return table


def unused(tree: Tree, source: str = '') -> tuple[str, ...]:
    """Patterns of the encoder's keys that have no place in our sub-tree `tree`."""
    parts = {
        'position': POSITION,
        'class_token': TOKEN,
        'norm': 'layernorm.*',
        'pooler': 'pooler.*',
    }
    return tuple(source + theirs for ours, theirs in parts.items() if ours not in tree)


def spelling(state: State, source: str = '') -> str:
    """Which release of transformers named the layers, '4' or '5'."""
    layer = re.compile(re.escape(source + layers.HUGGING_FACE['5']['layers']) + r'\.\d')
    return '5' if any(layer.match(key) for key in state) else '4'


def params(state: State, template: Tree) -> Tree:
    """Our {'sv': ...} from ViTModel's keys; without a pooler in the template, it is unused.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    table = rules(template['sv'], spelling=spelling(state))
    return convert(state, table, template, unused(template['sv']))
