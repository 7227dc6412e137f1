"""What joined features gain over each of their sides alone (paper section 5.1).

Both are scored on the same rows and the same draws of them, so that the intervals are those of the
difference. The draws of all tasks are the same groups, which makes the mean over tasks paired too.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.scores.intervals import percentiles
from gair_jax.transfer.point_features import sides_of
from gair_jax.transfer.scoring import Hits, Marks, gain

SHARED_METRIC = 'R2'  # has no unit, so that tasks of numbers can be averaged


class Judged(NamedTuple):
    """An entry of the benchmark, what its trained probes score, and where they are right.

    `hits` is None but for points of classes.
    """

    entry: dict[str, Any]
    marks: Marks
    hits: Hits | None = None


class _Pair(NamedTuple):
    joined: Judged
    side: str
    alone: Judged

    @property
    def group(self) -> tuple[Any, ...]:
        """What the pairs of all tasks have in common that are summarised in a line."""
        entry = self.joined.entry
        return entry['protocol'], entry['labels'], entry['features'], self.side


def compare(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Writes into entries of joined features what they gain, and summarises it over the tasks.

    Such an entry gets `gain_over`: for each side that was probed alone too, [low, value, high] of
    the difference in the main score; positive is better.

    Returns:
        For each joined features and side: protocol, labels, features, over; gain, the mean over
        the regression tasks in R2 as [low, value, high], nan without any; tasks, those averaged;
        worse, the tasks of any kind on which the interval of `gain_over` lies below 0.
    """
    pairs = _pairs(judged)
    for pair in pairs:
        entry = pair.joined.entry
        own = _ends(*gain(pair.joined.marks, pair.alone.marks, entry['metric']))
        entry.setdefault('gain_over', {})[pair.side] = own
    groups = dict.fromkeys(pair.group for pair in pairs)
    return [_summary([pair for pair in pairs if pair.group == group]) for group in groups]


def _pairs(judged: Sequence[Judged]) -> list[_Pair]:
    places = {_place(one.entry, one.entry['features']): one for one in judged}
    found = []
    for joined in judged:
        sides = sides_of(joined.entry['features'])
        for side in sides if len(sides) > 1 else ():
            if alone := places.get(_place(joined.entry, side)):
                found.append(_Pair(joined, side, alone))
    return found


def _place(entry: dict[str, Any], features: str) -> tuple[Any, ...]:
    return entry['task'], entry['protocol'], entry['labels'], features


def _summary(pairs: Sequence[_Pair]) -> dict[str, Any]:
    protocol, labels, features, side = pairs[0].group
    numbers = [pair for pair in pairs if pair.joined.entry['kind'] == 'regression']
    gains = [gain(p.joined.marks, p.alone.marks, SHARED_METRIC) for p in numbers]
    mean = [float('nan')] * 3
    if gains:
        mean = _ends(
            float(np.mean([value for value, _ in gains])),
            np.mean([draws for _, draws in gains], axis=0),
        )
    entries = [pair.joined.entry for pair in pairs]
    return {
        'protocol': protocol,
        'labels': labels,
        'features': features,
        'over': side,
        'gain': mean,
        'tasks': [pair.joined.entry['task'] for pair in numbers],
        'worse': [entry['task'] for entry in entries if entry['gain_over'][side][2] < 0],
    }


def _ends(value: float, draws: np.ndarray) -> list[float]:
    low, high = percentiles(draws)
    return [low, value, high]
