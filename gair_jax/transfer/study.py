"""What a study compares: arms, each some runs that differ in their seed, in one measure at a time.

Intervals are of the mean over seeds, by Student's t. A change is taken run by run, against the run
of the same seed in the other arm or against its only run: what the seed does to both cancels.
All runs of a study start from one checkpoint as a rule, so that an interval says nothing of other
pre-trainings.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.scores.intervals import over_seeds
from gair_jax.transfer.study_runs import Run, Scored


class Measure(NamedTuple):
    """What is measured of a run: `name` (R2, accuracy, ...) of what `features` tell of `task`."""

    task: str
    features: str
    labels: str
    protocol: str
    name: str


class Line(NamedTuple):
    """A measure of an arm.

    n: runs. mean, low, high: over them. over: the arm that the change is against, '' for none;
    change, change_low, change_high: over the seeds that both have, arm less `over`.
    """

    measure: Measure
    arm: str
    n: int
    mean: float
    low: float
    high: float
    over: str
    change: float
    change_low: float
    change_high: float


# By arm and seed, what a run measures.
Arms = Mapping[str, Mapping[int, Mapping[Measure, float]]]


def by_seed(arm: str, runs: Iterable[Run]) -> dict[int, Run]:
    """The runs of an arm by their seed; InputError where two have the same."""
    found: dict[int, Run] = {}
    for run in runs:
        if (seed := run.config.seed) in found:
            raise InputError(
                f'{run.name}: expected seeds that differ among the runs of {arm}, found seed '
                f'{seed} in {found[seed].name} too.'
            )
        found[seed] = run
    return found


def scores(scored: Scored) -> dict[Measure, float]:
    """The main score of every entry."""
    return {measure_of(entry, entry['metric']): entry['trained'] for entry in scored.entries}


def measure_of(entry: Mapping[str, Any], name: str) -> Measure:
    """A measure of what an entry probes."""
    return Measure(entry['task'], entry['features'], entry['labels'], entry['protocol'], name)


def compare(arms: Arms, against: Sequence[str]) -> list[Line]:
    """A line for every measure, arm and, of the arms before it in `against`, each.

    An arm with nothing before it gets one line without a change.
    """
    measures = dict.fromkeys(
        measure for runs in arms.values() for values in runs.values() for measure in values
    )
    return [
        _line(arms, measure, arm, over)
        for measure, arm in itertools.product(measures, arms)
        for over in _before(arm, against)
        if any(measure in values for values in arms[arm].values())
    ]


def _before(arm: str, against: Sequence[str]) -> Sequence[str]:
    earlier = against[: against.index(arm)] if arm in against else against
    return earlier or ('',)


def _line(arms: Arms, measure: Measure, arm: str, over: str) -> Line:
    own = _values(arms[arm], measure)
    other = _values(arms[over], measure) if over else {}
    if len(other) == 1:  # one checkpoint, which all are held against
        other = dict.fromkeys(own, next(iter(other.values())))
    changes = np.array([own[seed] - other[seed] for seed in own if seed in other], np.float64)
    means = over_seeds(np.array(list(own.values()), np.float64))
    return Line(measure, arm, len(own), *means, over, *over_seeds(changes))


def _values(runs: Mapping[int, Mapping[Measure, float]], measure: Measure) -> dict[int, float]:
    found = {seed: values[measure] for seed, values in runs.items() if measure in values}
    return {seed: value for seed, value in found.items() if np.isfinite(value)}
