"""LIIF's implicit function (yinboc/liif) and the release's `imnet` to our `nili` sub-tree.

The input columns are the unfolded 3 x 3 neighbourhood, ordered (channel, row, column), then the two
offsets: that part is an ordinary convolution kernel.
"""

from collections.abc import Callable

import numpy as np

from gair_jax.convert.table import Rule, State, Tree, convert, linear


def rules(
    hidden: int, source: str = 'imnet', target: str = 'nili', row_first: bool = False
) -> list[Rule]:
    """The table of H with `hidden` hidden layers; `row_first`: its offsets are (row, column)."""
    first = f'{source}.layers.0' if hidden else source
    table = [
        Rule(f'{target}/first/kernel', f'{first}.weight', _kernel),
        Rule(f'{target}/first/offset_kernel', f'{first}.weight', _offset(row_first)),
        Rule(f'{target}/first/bias', f'{first}.bias'),
    ]
    for layer in range(hidden):
        table += linear(f'{target}/rest_{layer}', f'{source}.layers.{2 * (layer + 1)}')
    return table


def hidden_layers(nili: Tree) -> int:
    """Hidden layers of a `nili` sub-tree."""
    return sum(name.startswith('rest_') for name in nili)


def params(state: State, template: Tree, *, row_first: bool) -> Tree:
    """Our {'nili': ...} from the keys of an implicit function.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules(hidden_layers(template['nili']), row_first=row_first), template)


def _kernel(weight: np.ndarray) -> np.ndarray:
    columns = weight[:, :-2].reshape(len(weight), -1, 3, 3)
    return columns.transpose(2, 3, 1, 0)


def _offset(row_first: bool) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weight: (weight[:, :-3:-1] if row_first else weight[:, -2:]).T
