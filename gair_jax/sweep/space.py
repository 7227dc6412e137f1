"""Which runs a sweep has: settings of a config, combined by a few plain functions.

A space is a list of runs, and a run a dict of settings by their dotted name, such as
{'optimizer.rate': 1e-3, 'seed': 0}. Spaces are lists, so that `+` puts one after another.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gair_jax.config import InputError

Settings = dict[str, Any]
Space = list[Settings]
Draw = Callable[[np.random.Generator], Any]

_DIGITS = 4  # of drawn numbers: more would only make names long


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """What `get_sweep()` of a sweep file returns.

    config: config file of every run, with a preset after a colon if wanted; as `gair train` takes.
    runs: one dict of settings a run; a setting that a run lacks is as in the config file.
    fixed: settings of all runs that differ from the config file.
    metric: name of a logged metric; each run counts with its best value.
    lower_is_better: whether the best is the lowest.
    """

    config: str
    runs: Space
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metric: str = 'val_loss'
    lower_is_better: bool = True


def grid(axes: Mapping[str, Sequence[Any]]) -> Space:
    """Every combination of the values of each setting; the last one varies fastest."""
    _check_filled(axes)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def zip_(axes: Mapping[str, Sequence[Any]]) -> Space:
    """The first values together, the second ones together, and so on; InputError if some lack."""
    _check_filled(axes)
    lengths = {name: len(values) for name, values in axes.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f'zip_: expected as many values of each setting, found {lengths}.')
    return [dict(zip(axes, values, strict=True)) for values in zip(*axes.values(), strict=True)]


def random(n: int, seed: int, axes: Mapping[str, Draw]) -> Space:
    """`n` runs whose settings are drawn independently.

    Run i depends on (seed, i) alone: a larger `n` keeps the runs that are there.
    """
    drawn = []
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        drawn.append({name: draw(rng) for name, draw in axes.items()})
    return drawn


def uniform(low: float, high: float) -> Draw:
    """A number from [low, high], all equally likely."""
    _check_order('uniform', low, high)
    return lambda rng: _rounded(rng.uniform(low, high))


def log_uniform(low: float, high: float) -> Draw:
    """A number from [low, high] whose logarithm is uniform; low > 0."""
    _check_order('log_uniform', low, high)
    if low <= 0:
        raise InputError(f'log_uniform: expected a low end above 0, found {low}.')
    return lambda rng: _rounded(math.exp(rng.uniform(math.log(low), math.log(high))))


def choice(values: Sequence[Any]) -> Draw:
    """One of the values, all equally likely."""
    _check_filled({'choice': values})
    return lambda rng: values[int(rng.integers(len(values)))]


def product(*spaces: Space) -> Space:
    """Every run of the first with every run of the second, and so on.

    Raises:
      InputError: two of them set the same setting.
    """
    combined: Space = [{}]
    for space in spaces:
        for ours, theirs in itertools.product(combined, space):
            if both := ours.keys() & theirs.keys():
                raise InputError(f'product: two of the spaces set {min(both)}.')
        combined = [{**ours, **theirs} for ours, theirs in itertools.product(combined, space)]
    return combined


def seeds(n: int) -> Space:
    """Seeds 0 to n - 1."""
    return grid({'seed': range(n)})


def _check_filled(axes: Mapping[str, Sequence[Any]]) -> None:
    for name, values in axes.items():
        if isinstance(values, str) or not len(values):
            raise InputError(f'{name}: expected a list of values, found {values!r}.')


def _check_order(name: str, low: float, high: float) -> None:
    if not low <= high:
        raise InputError(f'{name}: expected the low end first, found {low} and {high}.')


def _rounded(value: float) -> float:
    return float(f'{value:.{_DIGITS}g}')
