"""Debiasing (paper section 5.2): scores and geo-bias before and after training on other places.

Arms are `before`, one checkpoint or several; `after`, runs that went on from it; and `control`,
runs that went on alike on the places it knew: what more training alone does. All are probed on the
same rows. Geo-bias is the marked spatial self-information of right and wrong answers to the tasks
of classes; lower is better. Unmarked, it tells of the places alone and is the same in all arms, so
it is given for `before`: what the marked one is held against.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.scores import geo_bias
from gair_jax.scores.geo_bias import CentreScores, SsiParameters
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import study, study_runs
from gair_jax.transfer.scoring import Hits
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.study import Measure
from gair_jax.transfer.study_runs import Run, Scored

ARMS = ('before', 'control', 'after')
MARKED, UNMARKED = 'marked SSI', 'unmarked SSI'


class Bias(NamedTuple):
    """Geo-bias of one run's answers to one task: marked and unmarked, of the same centres."""

    measure: Measure
    hits: Hits
    marked: CentreScores
    unmarked: CentreScores


class Study(NamedTuple):
    """Lines, runs of each arm with what they score, and the bias of each run's answers."""

    lines: list[study.Line]
    scored: dict[str, list[Scored]]
    biases: dict[str, list[list[Bias]]]


def evaluate(
    settings: TransferConfig,
    parameters: SsiParameters,
    paths: Mapping[str, Sequence[str]],
    out: pathlib.Path,
) -> Study:
    """Scores every run and compares the arms.

    Args:
      settings: of the benchmark.
      parameters: of the geo-bias.
      paths: by name of `ARMS`, as of `study_runs.find`; control may be empty.
      out: keeps what each run scored.

    Raises:
      InputError: runs of an arm differ in more than their seed, or the benchmark cannot be run.
    """
    arms = {arm: study_runs.find(paths[arm]) for arm in ARMS if paths[arm]}
    members = {arm: study.by_seed(arm, runs) for arm, runs in arms.items()}
    for runs in arms.values():
        study_runs.require_alike(runs, ())
    _require_comparable(arms)
    every = [run for runs in arms.values() for run in runs]
    scored = {one.run.folder: one for one in study_runs.evaluate(settings, every, out)}
    biases = _biases(list(scored.values()), parameters)
    values = {
        arm: {
            seed: study.scores(scored[run.folder]) | _measured(biases[run.folder], arm)
            for seed, run in own.items()
        }
        for arm, own in members.items()
    }
    return Study(
        study.compare(values, [arm for arm in ARMS if arm in arms]),
        {arm: [scored[run.folder] for run in runs] for arm, runs in arms.items()},
        {arm: [biases[run.folder] for run in runs] for arm, runs in arms.items()},
    )


def _require_comparable(arms: Mapping[str, Sequence[Run]]) -> None:
    """Control and after must be trained alike but for the rows that they are trained on."""
    if 'control' in arms:
        study_runs.require_alike([*arms['control'], *arms['after']], ('data.sample',))
        if arms['control'][0].config.data.sample == arms['after'][0].config.data.sample:
            raise InputError(
                'control: expected another data.sample than that of the runs after, found '
                f'{arms["control"][0].config.data.sample!r} in both.'
            )


def _biases(scored: Sequence[Scored], parameters: SsiParameters) -> dict[pathlib.Path, list[Bias]]:
    """The bias of every run, by its folder."""
    found: dict[pathlib.Path, list[Bias]] = {}
    with ProgressBar('geo-bias', len(scored)) as bar:
        for one in scored:
            own = zip(one.entries, one.hits, strict=True)
            found[one.run.folder] = [
                bias(study.measure_of(entry, MARKED), hits, parameters)
                for entry, hits in own
                if hits is not None
            ]
            bar.update(len(found), one.run.name)
    return found


def bias(measure: Measure, hits: Hits, parameters: SsiParameters) -> Bias:
    """The geo-bias of answers; of several answers to a row, of whether most are right."""
    right = hits.right.mean(axis=0) >= 0.5
    marked, unmarked = geo_bias.ssi_readings(
        hits.lonlat,
        [
            geo_bias.Reading(parameters, geo_bias.plus_minus(right)),
            geo_bias.Reading(dataclasses.replace(parameters, marks='unmarked')),
        ],
    )
    return Bias(measure, hits, marked, unmarked)


def _measured(biases: Sequence[Bias], arm: str) -> dict[Measure, float]:
    found = {own.measure: own.marked.mean for own in biases}
    if arm == 'before':
        found |= {own.measure._replace(name=UNMARKED): own.unmarked.mean for own in biases}
    return found


def over_runs(biases: Sequence[Sequence[Bias]], measure: Measure) -> np.ndarray:
    """The marked score of each centre, float [n], the mean over runs; nan where none has one."""
    scores = np.stack([
        own.marked.score for run in biases for own in run if own.measure == measure
    ])  # fmt: skip
    known = np.isfinite(scores)
    counts = known.sum(axis=0)
    sums = np.where(known, scores, 0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
