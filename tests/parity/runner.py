"""Runs one case: dispatches on its kind, cuts the outputs, compares them with its tolerances."""

import dataclasses
import pathlib

import numpy as np

from tests.parity import encoders, losses, preprocessing, queries, rules, weights
from tests.parity.kinds import KINDS, Arrays, Data, FileMissing

__all__ = ['KINDS', 'Data', 'Result', 'run']
# Imported for the kinds that they register.
MODULES = (encoders, losses, preprocessing, queries)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a case; `detail` is the worst output or the reason."""

    name: str
    kind: str
    verdict: str  # ok, MISS or skip
    detail: str

    def line(self) -> str:
        """One line for people."""
        return f'{self.name:32} {self.kind:22} {self.detail:64} {self.verdict}'


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One output: the largest error, and how many times its tolerance that is."""

    output: str
    error: float
    times: float
    tolerance: tuple[float, float]

    def __str__(self) -> str:
        absolute, relative = self.tolerance
        allowed = f'{absolute:.2g}' + (f' + {relative:.2g} rel' if relative else '')
        return f'{self.output}: error {self.error:.2g}, allowed {allowed}'


def run(path: pathlib.Path, data: Data) -> Result:
    """Runs and compares one case."""
    name, kind = path.stem, '?'
    try:
        case = weights.load(path)
        kind = case.kind
        if kind not in KINDS:
            return Result(name, kind, 'MISS', 'unknown kind')
        comparisons = compare(case, KINDS[kind](case, data))
    except FileMissing as reason:
        return Result(name, kind, 'skip', str(reason))
    except Exception as reason:  # whatever goes wrong in one case, the others are run
        text = ' '.join(str(reason).split())
        return Result(name, kind, 'MISS', f'{type(reason).__name__}: {text}')
    worst = max(comparisons, key=lambda c: c.times)
    return Result(name, kind, 'ok' if worst.times <= 1 else 'MISS', str(worst))


def compare(case: weights.Case, ours: Arrays) -> list[Comparison]:
    """Every output of a case that is to be compared; ValueError where one cannot be."""
    meta, comparisons = case.meta, []
    for output, expected in case.outputs.items():
        tolerance = meta['tolerance'][output]
        if tolerance is None:
            continue
        rule = meta.get('slices', {}).get(output, output)
        found = rules.apply(rule, ours)
        skipped = meta.get('skip_rows', {}).get(output, [])
        comparisons.append(_compare(output, found, expected, tuple(tolerance), skipped))
    if not comparisons:
        raise ValueError('no output to compare')
    return comparisons


def _compare(
    output: str,
    found: np.ndarray,
    expected: np.ndarray,
    tolerance: tuple[float, float],
    skipped: list[int],
) -> Comparison:
    if found.shape != expected.shape:
        raise ValueError(f'{output}: expected shape {expected.shape}, found {found.shape}')
    if skipped:
        found, expected = (np.delete(array, skipped, axis=0) for array in (found, expected))
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    if np.any(np.isnan(found) != np.isnan(expected)):
        return Comparison(output, np.nan, np.inf, tolerance)
    same = (found == expected) | np.isnan(expected)
    error = np.where(same, 0, np.abs(found - expected))
    allowed = tolerance[0] + tolerance[1] * np.abs(expected)
    with np.errstate(divide='ignore', invalid='ignore'):
        times = np.where(same, 0, error / allowed)
    return Comparison(
        output, float(np.max(error, initial=0)), float(np.max(times, initial=0)), tolerance
    )
