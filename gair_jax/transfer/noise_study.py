"""Noise study (paper section 5.4): what noise on positions in training does to the scores after it.

Arms are strengths kappa of the von Mises-Fisher noise and what it moves: the place alone, or the
point in the window too.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.geo.sphere import EARTH_RADIUS_M
from gair_jax.transfer import study, study_runs
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.study_runs import Run, Scored

CLEAN = 'none'
VARIED = ('input.noise.kappa', 'input.noise.target')
_STEPS = 100_001  # of the quadrature


class Arm(NamedTuple):
    """Runs of one strength of noise; kappa 0 is none, whose target is ''."""

    name: str
    kappa: float
    target: str


class Study(NamedTuple):
    """Arms, clean first and then from weak to strong; lines; every run with what it scores."""

    arms: list[Arm]
    lines: list[study.Line]
    scored: list[Scored]


def evaluate(settings: TransferConfig, paths: Sequence[str], out: pathlib.Path) -> Study:
    """Scores every run and compares each strength with none, seed by seed.

    Args:
      settings: of the benchmark.
      paths: as of `study_runs.find`.
      out: keeps what each run scored.

    Raises:
      InputError: none of the runs is without noise, they differ in more than their noise and seed,
        two are the same, or the benchmark cannot be run.
    """
    runs = study_runs.find(paths)
    study_runs.require_alike(runs, VARIED)
    arms = sorted({arm_of(run.config) for run in runs}, key=_strength)
    if arms[0].kappa:
        raise InputError('noise study: expected runs without noise (kappa 0), found none.')
    if len(arms) < 2:
        raise InputError('noise study: expected runs with noise, found kappa 0 alone.')
    members = {a.name: study.by_seed(a.name, _members(runs, a)) for a in arms}
    scored = study_runs.evaluate(settings, runs, out)
    measured = {one.run.folder: study.scores(one) for one in scored}
    values = {
        arm: {seed: measured[run.folder] for seed, run in own.items()}
        for arm, own in members.items()
    }
    return Study(arms, study.compare(values, (CLEAN,)), scored)


def arm_of(config: Config) -> Arm:
    """The arm that a run belongs to."""
    noise = config.input.noise
    if not noise.kappa:
        return Arm(CLEAN, 0.0, '')
    return Arm(f'{noise.kappa:g} {noise.target}', noise.kappa, noise.target)


def mean_km(kappa: float) -> float:
    """How far the noise moves a place on average, km; by quadrature of its density of angles."""
    if not kappa:
        return 0.0
    angle = np.linspace(0, np.pi, _STEPS)
    weight = np.sin(angle) * np.exp(kappa * (np.cos(angle) - 1))
    mean = np.trapezoid(angle * weight, angle) / np.trapezoid(weight, angle)
    return float(mean * EARTH_RADIUS_M / 1000)


def _strength(arm: Arm) -> tuple[float, str]:
    return (-arm.kappa if arm.kappa else -np.inf), arm.target


def _members(runs: Sequence[Run], arm: Arm) -> list[Run]:
    return [run for run in runs if arm_of(run.config) == arm]
