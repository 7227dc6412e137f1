"""Runs one case: dispatches on its kind, cuts the outputs, compares them with its tolerances."""

import dataclasses
import pathlib

from gair_jax.serve.parity import compare
from tests.parity import (
    baselines,
    decoders,
    encoders,
    geo_bias,
    locations,
    losses,
    preprocessing,
    protocol,
    queries,
    weights,
)
from tests.parity.kinds import KINDS, Data, FileMissing

__all__ = ['KINDS', 'Data', 'Result', 'run']
# Imported for the kinds that they register.
MODULES = (
    baselines,
    decoders,
    encoders,
    geo_bias,
    locations,
    losses,
    preprocessing,
    protocol,
    queries,
)


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
    return Result(name, kind, 'ok' if worst.ok else 'MISS', str(worst))
