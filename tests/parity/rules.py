"""The small language in which a case says how an output is cut from a full array.

A rule is a name followed by steps, read left to right: `[i, a:b:s, ...]` indexes as NumPy does;
.mean .std .min .max .sum reduce over the axes given, .norm is the L2 norm along one axis, .unit
divides by it, .shape() gives the shape. Nothing is evaluated as Python.
"""

import re
from collections.abc import Callable, Mapping

import numpy as np

STEP = re.compile(r'\[(?P<index>[^\[\]]*)\]|\.(?P<name>[a-z]+)\((?P<axes>[-\d,\s]*)\)')
NAME = re.compile(r'\w+')

REDUCTIONS: dict[str, Callable] = {
    'mean': np.mean,
    'std': np.std,
    'min': np.min,
    'max': np.max,
    'sum': np.sum,
}


def apply(rule: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The array that `rule` makes; ValueError says what cannot be read, KeyError what is absent."""
    rule = rule.strip()
    head = NAME.match(rule)
    if head is None:
        raise ValueError(f'rule {rule!r}: expected an array name first')
    value, at = np.asarray(arrays[head.group()]), head.end()
    while at < len(rule):
        step = STEP.match(rule, at)
        if step is None:
            raise ValueError(f'rule {rule!r}: cannot read {rule[at:]!r}')
        value, at = _step(value, step), step.end()
    return value


def _step(value: np.ndarray, step: re.Match) -> np.ndarray:
    if step['name'] is None:
        return value[tuple(_index(part) for part in step['index'].split(','))]
    name, axes = step['name'], tuple(int(a) for a in step['axes'].split(',') if a.strip())
    if name == 'shape':
        return np.asarray(value.shape)
    exact = value.astype(np.float64) if value.dtype.kind == 'f' else value
    if name in REDUCTIONS:
        return REDUCTIONS[name](exact, axis=axes or None)
    (axis,) = axes
    norm = np.linalg.norm(exact, axis=axis, keepdims=name == 'unit')
    if name == 'unit':
        return exact / norm
    if name == 'norm':
        return norm
    raise ValueError(f'unknown step .{name}()')


def _index(part: str) -> int | slice | type(Ellipsis):
    part = part.strip()
    if part == '...':
        return Ellipsis
    if ':' not in part:
        return int(part)
    bounds = [int(b) if b.strip() else None for b in part.split(':')]
    if len(bounds) > 3:
        raise ValueError(f'index {part!r} has more than three parts')
    return slice(*bounds)
