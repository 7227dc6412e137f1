"""ViTModel of transformers 4.x (the release's street view encoder) to our `sv` sub-tree."""

from gair_jax.convert import layers
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm


def rules(source: str = '', target: str = 'sv', pooler: bool = True) -> list[Rule]:
    """The table of the encoder whose keys start with `source`."""
    head = linear(f'{target}/pooler', f'{source}pooler.dense') if pooler else []
    return [
        *layers.patch_convolution(
            f'{target}/patch', f'{source}embeddings.patch_embeddings.projection'
        ),
        Rule(f'{target}/class_token', f'{source}embeddings.cls_token', lambda a: a[0, 0]),
        Rule(f'{target}/position', f'{source}embeddings.position_embeddings', layers.first_row),
        *layers.hugging_face(f'{target}/transformer/layers', f'{source}encoder.layer.'),
        *norm(f'{target}/norm', f'{source}layernorm'),
        *head,
    ]


def params(state: State, template: Tree) -> Tree:
    """Our {'sv': ...} from ViTModel's keys; without a pooler in the template, it is unused.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    pooler = 'pooler' in template['sv']
    return convert(state, rules(pooler=pooler), template, () if pooler else ('pooler.*',))
