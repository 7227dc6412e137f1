"""How a table of names turns a reference state dict into our parameter tree, and back.

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
Shapes = dict[str, tuple[int, ...]]


def _alone(array: np.ndarray) -> tuple[np.ndarray, ...]:
    return (array,)


def _unchanged(array: np.ndarray) -> np.ndarray:
    return array


@dataclasses.dataclass(frozen=True)
class Rule:
    """One array of the reference, and the parameters of ours that it holds.

    Attributes:
      source: key of the reference; '{i}' in it stands for 0, 1, ... and our arrays are stacked.
      targets: paths in our tree, joined by '/'.
      split: turns the reference's array into one array for each target.
      join: its exact inverse, from as many arrays.
    """

    source: str
    targets: tuple[str, ...]
    split: Callable[[np.ndarray], tuple[np.ndarray, ...]] = _alone
    join: Callable[..., np.ndarray] = _unchanged

    @property
    def stacked(self) -> bool:
        """Whether the source has a number that becomes our first axis."""
        return '{i}' in self.source

    def key(self, i: int) -> str:
        """The source of row i."""
        return self.source.replace('{i}', str(i))


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
    shapes: Shapes = {path: tuple(leaf.shape) for path, leaf in flatten(template).items()}
    table = list(rules)
    _require_equal(table, set(shapes))
    leaves: dict[str, np.ndarray] = {}
    read: set[str] = set()
    for rule in table:
        count = shapes[rule.targets[0]][0] if rule.stacked else 1
        rows = [_read(state, rule, i, shapes) for i in range(count)]
        read.update(rule.key(i) for i in range(count))
        if rule.stacked and rule.key(count) in state:
            raise InputError(f'weights: {rule.key(count)}: expected {count} of these, found more.')
        for target, parts in zip(rule.targets, zip(*rows, strict=True), strict=True):
            leaves[target] = np.stack(parts) if rule.stacked else np.array(parts[0])
    _refuse_rest(state, read, tuple(unused))
    return unflatten(leaves)


def restore(tree: Tree, rules: Iterable[Rule]) -> dict[str, np.ndarray]:
    """The reference's state dict, from our parameters: what `convert` read, bit for bit.

    Raises:
      InputError: a parameter has no place in the table, or the table needs one that is absent.
    """
    leaves, table = flatten(tree), list(rules)
    _require_equal(table, set(leaves))
    state: dict[str, np.ndarray] = {}
    for rule in table:
        parts = [np.asarray(leaves[target]) for target in rule.targets]
        for i in range(len(parts[0]) if rule.stacked else 1):
            joined = rule.join(*(part[i] if rule.stacked else part for part in parts))
            state[rule.key(i)] = np.array(joined, order='C')
    return state


def keys(rules: Iterable[Rule], tree: Tree) -> set[str]:
    """The reference's keys that a table reads to fill a tree of ours."""
    leaves = flatten(tree)
    return {
        rule.key(i)
        for rule in rules
        for i in range(leaves[rule.targets[0]].shape[0] if rule.stacked else 1)
    }


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


def matches(key: str, patterns: Iterable[str]) -> bool:
    """Whether a key fits one of the patterns (fnmatch)."""
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)


def same(target: str, source: str) -> Rule:
    """A parameter stored as it is."""
    return Rule(source, (target,))


def linear(target: str, source: str, bias: bool = True) -> list[Rule]:
    """A linear layer: (out, in) becomes our (in, out) kernel."""
    rules = [Rule(f'{source}.weight', (f'{target}/kernel',), lambda w: (w.T,), np.transpose)]
    return rules + [same(f'{target}/bias', f'{source}.bias')] if bias else rules


def norm(target: str, source: str) -> list[Rule]:
    """A layer norm: its weight is our scale."""
    return [same(f'{target}/scale', f'{source}.weight'), same(f'{target}/bias', f'{source}.bias')]


def qkv(target: str, source: str, bias: bool) -> list[Rule]:
    """Query, key and value stacked in one linear layer (q first) to our three."""
    names = [f'{target}/{name}' for name in ('query', 'key', 'value')]
    rules = [Rule(f'{source}.weight', tuple(f'{n}/kernel' for n in names), _turned_thirds, _fused)]
    if bias:
        biases = tuple(f'{n}/bias' for n in names)
        rules.append(Rule(f'{source}.bias', biases, _thirds, _joined))
    return rules


def _thirds(array: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(np.split(array, 3))


def _joined(*thirds: np.ndarray) -> np.ndarray:
    return np.concatenate(thirds)


def _turned_thirds(array: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(third.T for third in _thirds(array))


def _fused(*kernels: np.ndarray) -> np.ndarray:
    return np.concatenate([kernel.T for kernel in kernels])


def _read(state: State, rule: Rule, i: int, shapes: Shapes) -> list[np.ndarray]:
    """The arrays of one source, float32; refused unless it is as the template expects."""
    key, ours = rule.key(i), ', '.join(rule.targets)
    if key not in state:
        raise InputError(f'weights: {key}: expected for our {ours}, found nothing.')
    array = np.asarray(state[key])
    expected = _source_shape(rule, shapes)
    if array.shape != expected:
        raise InputError(
            f'weights: {key}: expected, as our {ours}, shape {expected}, found {array.shape}.'
        )
    if array.dtype.kind in 'iubcOSU':
        raise InputError(f'weights: {key}: expected floating-point numbers, found {array.dtype}.')
    return [np.asarray(part, np.float32) for part in rule.split(array)]


def _source_shape(rule: Rule, shapes: Shapes) -> tuple[int, ...]:
    """The shape that a source must have to fill the template."""
    each = [shapes[target][1 if rule.stacked else 0 :] for target in rule.targets]
    return rule.join(*(np.broadcast_to(np.float32(0), shape) for shape in each)).shape


def _refuse_rest(state: State, read: set[str], unused: tuple[str, ...]) -> None:
    for key in state:
        if key not in read and not matches(key, unused):
            raise InputError(f'weights: {key}: expected no such key, found {np.shape(state[key])}.')


def _require_equal(table: list[Rule], ours: set[str]) -> None:
    ruled = {target for rule in table for target in rule.targets}
    for path in sorted(ours - ruled):
        raise InputError(f'model: {path}: expected a parameter that the weights hold, found none.')
    for path in sorted(ruled - ours):
        raise InputError(f'model: {path}: the weights hold this parameter, the model has none.')
