"""How a table of names turns a reference state dict into our parameter tree.

Nothing is left over on either side: a parameter of ours that no rule fills, a key that a rule
needs and the state dict lacks, a key that no rule reads and the table does not list as unused, and
a shape that does not fit are each an InputError that names it.
"""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gair_jax.config import InputError

State = Mapping[str, np.ndarray]
Tree = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One parameter of ours from the reference's.

    Attributes:
      target: path in our tree, joined by '/'.
      source: key of the reference; '{i}' in it stands for 0, 1, ... and the arrays are stacked.
      read: turns one reference array into ours.
    """

    target: str
    source: str
    read: Callable[[np.ndarray], np.ndarray] = np.asarray


def convert(
    state: State, rules: Iterable[Rule], template: Tree, unused: Iterable[str] = ()
) -> Tree:
    """Our parameters, float32, from a reference state dict.

    Args:
      state: reference key -> array; torch's layout, a linear weight is (out, in).
      rules: the table.
      template: our tree, whose leaves have the expected `shape`.
      unused: patterns (fnmatch) of reference keys that are known and have no place in our tree.

    Raises:
      InputError: something is missing, left over or of another shape; names it.
    """
    shapes = {path: tuple(leaf.shape) for path, leaf in flatten(template).items()}
    by_target = {rule.target: rule for rule in rules}
    _require_equal(set(by_target), set(shapes))
    read: set[str] = set()
    leaves = {
        target: _leaf(state, by_target[target], shape, read) for target, shape in shapes.items()
    }
    patterns = tuple(unused)
    for key in state:
        if key not in read and not any(fnmatch.fnmatchcase(key, p) for p in patterns):
            raise InputError(f'weights: {key}: expected no such key, found {np.shape(state[key])}.')
    return unflatten(leaves)


def flatten(tree: Tree, prefix: str = '') -> dict[str, Any]:
    """Leaves of a nested dict by path, joined by '/'."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flatten(dict(value), f'{prefix}{name}/')
        else:
            leaves[f'{prefix}{name}'] = value
    return leaves


def unflatten(leaves: Mapping[str, Any]) -> Tree:
    """The nested dict whose `flatten` is `leaves`."""
    tree: Tree = {}
    for path, value in leaves.items():
        *parents, name = path.split('/')
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return tree


def linear(target: str, source: str, bias: bool = True) -> list[Rule]:
    """A linear layer: (out, in) becomes our (in, out) kernel."""
    rules = [Rule(f'{target}/kernel', f'{source}.weight', np.transpose)]
    return rules + [Rule(f'{target}/bias', f'{source}.bias')] if bias else rules


def norm(target: str, source: str) -> list[Rule]:
    """A layer norm: its weight is our scale."""
    return [Rule(f'{target}/scale', f'{source}.weight'), Rule(f'{target}/bias', f'{source}.bias')]


def qkv(target: str, source: str, bias: bool) -> list[Rule]:
    """Query, key and value stacked in one linear layer (q first) to our three."""
    rules = []
    for i, name in enumerate(('query', 'key', 'value')):
        rules.append(Rule(f'{target}/{name}/kernel', f'{source}.weight', _third(i, transpose=True)))
        if bias:
            rules.append(Rule(f'{target}/{name}/bias', f'{source}.bias', _third(i)))
    return rules


def _third(i: int, transpose: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    def read(array: np.ndarray) -> np.ndarray:
        third = len(array) // 3
        part = array[i * third : (i + 1) * third]
        return part.T if transpose else part

    return read


def _leaf(state: State, rule: Rule, shape: tuple[int, ...], read: set[str]) -> np.ndarray:
    stacked = '{i}' in rule.source
    keys = [rule.source.format(i=i) for i in range(shape[0])] if stacked else [rule.source]
    arrays = []
    for key in keys:
        if key not in state:
            raise InputError(f'weights: {key}: expected for our {rule.target}, found nothing.')
        array = np.asarray(rule.read(np.asarray(state[key])), np.float32)
        if array.shape != (shape[1:] if stacked else shape):
            raise InputError(
                f'weights: {key}: expected, as our {rule.target}, shape '
                f'{shape[1:] if stacked else shape}, found {array.shape} (stored as '
                f'{np.shape(state[key])}).'
            )
        arrays.append(array)
    read.update(keys)
    following = rule.source.format(i=shape[0]) if stacked else ''
    if following in state:
        raise InputError(f'weights: {following}: expected {shape[0]} of these, found more.')
    return np.stack(arrays) if stacked else arrays[0]


def _require_equal(ruled: set[str], ours: set[str]) -> None:
    for path in sorted(ours - ruled):
        raise InputError(f'model: {path}: expected a parameter that the weights hold, found none.')
    for path in sorted(ruled - ours):
        raise InputError(f'model: {path}: the weights hold this parameter, the model has none.')
