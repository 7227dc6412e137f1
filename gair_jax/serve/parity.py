"""Parity cases: inputs and outputs of a reference implementation, and how ours are compared.

A case is one .npz: `meta` (a JSON string: kind, kwargs, slices, tolerance, ...), inputs under
`in/`, the reference's outputs under `out/`. `tolerance` gives for each output [absolute, relative],
or null for one that is not compared.

`slices` says how an output is cut from a full array, in a small language: a name followed by steps,
read left to right. `[i, a:b:s, ...]` indexes as NumPy does; .mean .std .min .max .sum reduce over
the axes given, .norm is the L2 norm along one axis, .unit divides by it, .shape() gives the shape.
Nothing is evaluated as Python.
"""

import dataclasses
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import Any

import numpy as np

from gair_jax.config import InputError

Arrays = dict[str, np.ndarray]

STEP = re.compile(r'\[(?P<index>[^\[\]]*)\]|\.(?P<name>[a-z]+)\((?P<axes>[-\d,\s]*)\)')
NAME = re.compile(r'\w+')

REDUCTIONS: dict[str, Callable] = {
    'mean': np.mean,
    'std': np.std,
    'min': np.min,
    'max': np.max,
    'sum': np.sum,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One case as stored; `path` names it, nothing is read out of the name."""

    path: pathlib.Path
    meta: dict[str, Any]
    params: Arrays
    inputs: Arrays
    outputs: Arrays

    @property
    def kind(self) -> str:
        """What is computed."""
        return self.meta['kind']

    @property
    def kwargs(self) -> dict[str, Any]:
        """Everything that selects the variant."""
        return self.meta['kwargs']


@dataclasses.dataclass(frozen=True)
class Figures:
    """Shape, mean and standard deviation of an array."""

    shape: tuple[int, ...]
    mean: float
    std: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One output: the largest error, and how many times its tolerance that is.

    `reference` and `ours` are the figures of the two arrays; error and times are nan and infinity
    where they cannot be compared.
    """

    output: str
    error: float
    times: float
    tolerance: tuple[float, float]
    reference: Figures
    ours: Figures

    @property
    def ok(self) -> bool:
        """Whether every element is within the tolerance."""
        return self.times <= 1

    def allowed(self) -> str:
        """The tolerance in words."""
        absolute, relative = self.tolerance
        return f'{absolute:.2g}' + (f' + {relative:.2g} rel' if relative else '')

    def __str__(self) -> str:
        return f'{self.output}: error {self.error:.2g}, allowed {self.allowed()}'


def read_case(path: str | os.PathLike[str]) -> Case:
    """Reads a case; `params` are those that it stores. InputError where the file is not one."""
    try:
        with open(path, 'rb') as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        meta = json.loads(str(arrays.pop('meta')))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, AttributeError, EOFError) as error:
        raise InputError(f'{path}: not a parity case: {error}') from error
    parts: dict[str, Arrays] = {'param': {}, 'in': {}, 'out': {}}
    for name, array in arrays.items():
        group, _, rest = name.partition('/')
        parts.setdefault(group, {})[rest] = array
    return Case(pathlib.Path(path), meta, parts['param'], parts['in'], parts['out'])


def compare(case: Case, ours: Arrays, *, partial: bool = False) -> list[Comparison]:
    """Every output of a case that is to be compared.

    Args:
      case: the case.
      ours: full arrays, of which its rules cut the outputs.
      partial: leave outputs out that need arrays we do not have.

    Raises:
      InputError: shapes differ, or there is nothing to compare.
      KeyError: an array is absent, and not `partial`.
    """
    comparisons = []
    for output, expected in case.outputs.items():
        tolerance = case.meta['tolerance'][output]
        rule = case.meta.get('slices', {}).get(output, output)
        if tolerance is None or (partial and rule_name(rule) not in ours):
            continue
        found = apply(rule, ours)
        skipped = case.meta.get('skip_rows', {}).get(output, [])
        comparisons.append(_compare(output, found, expected, tuple(tolerance), skipped))
    if not comparisons:
        raise InputError(f'{case.path}: no output to compare')
    return comparisons


def rule_name(rule: str) -> str:
    """The name of the array that a rule cuts."""
    head = NAME.match(rule.strip())
    if head is None:
        raise ValueError(f'rule {rule!r}: expected an array name first')
    return head.group()


def apply(rule: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The array that `rule` makes; ValueError says what cannot be read, KeyError what is absent."""
    rule, name = rule.strip(), rule_name(rule)
    value, at = np.asarray(arrays[name]), len(name)
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


def _index(part: str) -> int | slice | EllipsisType:
    part = part.strip()
    if part == '...':
        return Ellipsis
    if ':' not in part:
        return int(part)
    bounds = [int(b) if b.strip() else None for b in part.split(':')]
    if len(bounds) > 3:
        raise ValueError(f'index {part!r} has more than three parts')
    return slice(*bounds)


def _compare(
    output: str,
    found: np.ndarray,
    expected: np.ndarray,
    tolerance: tuple[float, float],
    skipped: list[int],
) -> Comparison:
    if found.shape != expected.shape:
        raise InputError(f'{output}: expected shape {expected.shape}, found {found.shape}')
    if skipped:
        found, expected = (np.delete(array, skipped, axis=0) for array in (found, expected))
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    figures = [Figures(a.shape, *_mean_std(a)) for a in (expected, found)]
    if np.any(np.isnan(found) != np.isnan(expected)):
        return Comparison(output, np.nan, np.inf, tolerance, *figures)
    same = (found == expected) | np.isnan(expected)
    with np.errstate(divide='ignore', invalid='ignore'):
        error = np.where(same, 0, np.abs(found - expected))
        allowed = tolerance[0] + tolerance[1] * np.abs(expected)
        times = np.where(same, 0, error / allowed)
    worst = float(np.max(error, initial=0)), float(np.max(times, initial=0))
    return Comparison(output, *worst, tolerance, *figures)


def _mean_std(array: np.ndarray) -> tuple[float, float]:
    seen = array[np.isfinite(array)]
    return (float(seen.mean()), float(seen.std())) if seen.size else (np.nan, np.nan)
