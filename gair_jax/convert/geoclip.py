"""GeoCLIP (Vivanco Cepeda et al. 2023): its location encoder, which GAIR shares, and image head."""

from gair_jax.convert.table import Rule, State, Tree, convert, linear, same

UNUSED = ('*logit_scale', '*gps_queue*', '*image_encoder.CLIP.*')
# TaxaBind (Sastry et al. 2025) trains the class beside an image encoder, `model`.
TAXABIND_UNUSED = ('model.*', 'logit_scale')


def rules(hidden: int, source: str = '', target: str = 'location') -> list[Rule]:
    """The table of an encoder with `hidden` hidden layers a branch; the branches are stacked."""
    branch = f'{source}LocEnc{{i}}'
    table = [same(f'{target}/frequencies', f'{branch}.capsule.0.b')]
    for layer in range(hidden):
        table += linear(f'{target}/branches/hidden_{layer}', f'{branch}.capsule.{2 * layer + 1}')
    return table + linear(f'{target}/branches/out', f'{branch}.head.0')


def image_head(source: str = '', target: str = 'clip') -> list[Rule]:
    """The table of the network that takes CLIP features into the space of the places."""
    return [*linear(f'{target}/hidden', f'{source}0'), *linear(f'{target}/out', f'{source}2')]


def hidden_layers(location: Tree) -> int:
    """Hidden layers a branch of a `location` sub-tree."""
    return sum(name.startswith('hidden_') for name in location['branches'])


def params(state: State, template: Tree) -> Tree:
    """Our {'location': ...} from GeoCLIP's keys (its places are latitude first, ours are not).

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules(hidden_layers(template['location'])), template)
