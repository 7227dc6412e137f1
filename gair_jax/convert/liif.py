"""LIIF's implicit function (yinboc/liif) and the release's `imnet`, and our `nili` sub-tree.

The input columns are the unfolded 3 x 3 neighbourhood, ordered (channel, row, column), then the two
offsets: that part is an ordinary convolution kernel.
"""

import numpy as np

from gair_jax.convert.table import Rule, State, Tree, convert, linear, same


def rules(
    hidden: int, source: str = 'imnet', target: str = 'nili', row_first: bool = False
) -> list[Rule]:
    """The table of H with `hidden` hidden layers; `row_first`: its offsets are (row, column)."""
    first = f'{source}.layers.0' if hidden else source
    step = -1 if row_first else 1

    def split(weight: np.ndarray) -> tuple[np.ndarray, ...]:
        around = weight[:, :-2].reshape(len(weight), -1, 3, 3)
        return around.transpose(2, 3, 1, 0), weight[:, -2:][:, ::step].T

    def join(kernel: np.ndarray, offset: np.ndarray) -> np.ndarray:
        around = kernel.transpose(3, 2, 0, 1).reshape(kernel.shape[-1], -1)
        return np.concatenate([around, offset.T[:, ::step]], axis=1)

    table = [
        Rule(
            f'{first}.weight',
            (f'{target}/first/kernel', f'{target}/first/offset_kernel'),
            split,
            join,
        ),
        same(f'{target}/first/bias', f'{first}.bias'),
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
