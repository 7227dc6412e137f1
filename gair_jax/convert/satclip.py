"""SatCLIP's location encoder (Klemmer et al. 2025): a SIREN on spherical harmonics."""

from gair_jax.config import InputError
from gair_jax.convert.table import Rule, State, Tree, linear

# What a model was built with, by its names, and the only values of it that are ours too.
SETTINGS = ('harmonics_calculation', 'legendre_polys', 'le_type', 'pe_type')
FORMS = {'analytic': 'analytic', 'closed-form': 'normalised'}
FIXED = {'le_type': 'sphericalharmonics', 'pe_type': 'siren'}


def siren(hidden: int, source: str = 'nnet.', target: str = 'network') -> list[Rule]:
    """`place_networks.Siren` with so many hidden layers."""
    table = linear(f'{target}/out', f'{source}last_layer')
    for i in range(hidden):
        table += linear(f'{target}/hidden_{i}', f'{source}layers.{i}')
    return table


def rules(tree: Tree, prefix: str) -> list[Rule]:
    """The table of the location encoder whose names begin with `prefix`."""
    hidden = sum(name.startswith('hidden_') for name in tree['location']['network'])
    return siren(hidden, f'{prefix}nnet.', 'location/network')


def unused(prefix: str) -> tuple[str, ...]:
    """The image side, and the network's second name: the class holds it twice."""
    if not prefix.endswith('location.'):
        return ()
    model = prefix.removesuffix('location.')
    return tuple(f'{model}{name}' for name in ('nnet.*', 'visual.*', 'logit_scale'))


def whole(state: State, prefix: str) -> str:
    """The prefix of the location encoder where its network is there under two names, else `prefix`.

    Raises:
      InputError: the two differ.
    """
    inner = f'{prefix}location.'
    if not any(key.startswith(f'{inner}nnet.') for key in state):
        return prefix
    for key in state:
        other = inner + key.removeprefix(prefix)
        if key.startswith(f'{prefix}nnet.') and other in state:
            if not (state[key] == state[other]).all():
                raise InputError(f'weights: {key}: expected the numbers of {other}, found others.')
    return inner
