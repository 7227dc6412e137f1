"""Every geo-bias score of the results of one data set, taken by one plan."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Integer, Real

from gair_jax.config import InputError
from gair_jax.scores.geo_bias.chunks import Progress
from gair_jax.scores.geo_bias.parameters import SriParameters, SsiParameters
from gair_jax.scores.geo_bias.results import CentreScores
from gair_jax.scores.geo_bias.sri import PARTITIONS, sri
from gair_jax.scores.geo_bias.ssi import Reading, plus_minus, ssi_readings

CENTRES = ('all', 'wrong')
SSI_NAMES = ('ssi_unmarked', 'ssi_marked')
SRI_NAMES = tuple(f'sri_{name}' for name in PARTITIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Which scores are taken, and of which centres.

    ssi: of the marked score; the unmarked one differs in its marks alone.
    sri: of the three partitions; None: they are left out.
    centres: `all` places, or those of `wrong` answers alone, as TorchSpatial scores data sets.
    """

    ssi: SsiParameters
    sri: SriParameters | None = None
    centres: str = 'all'

    def __post_init__(self) -> None:
        """InputError where there are no marks, or no such centres."""
        if self.ssi.marks == 'unmarked':
            raise InputError('marks: expected zero_one or plus_minus, found unmarked.')
        if self.centres not in CENTRES:
            raise InputError(f'centres: expected {" or ".join(CENTRES)}, found {self.centres!r}.')

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scores."""
        return SSI_NAMES + (SRI_NAMES if self.sri else ())

    def rows(self, right: Bool[np.ndarray, ' n']) -> Integer[np.ndarray, ' c']:
        """The centres; InputError where no answer is wrong and those are asked for."""
        rows = np.arange(len(right)) if self.centres == 'all' else np.flatnonzero(~right)
        if not len(rows):
            raise InputError('centres: expected wrong answers to be centres, found none.')
        return rows

    def marks(self, right: Bool[np.ndarray, ' n']) -> Integer[np.ndarray, ' n']:
        """Of the marked score."""
        return right.astype(np.int64) if self.ssi.marks == 'zero_one' else plus_minus(right)


def data_set_scores(
    lonlat: Real[np.ndarray, 'n 2'],
    right: Bool[np.ndarray, ' n'],
    plan: Plan,
    *,
    values: Real[np.ndarray, ' n'] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, CentreScores]:
    """The scores by name; centres are `plan.rows(right)`.

    Args:
      lonlat: degrees, longitude first.
      right: whether the answer at each place is.
      plan: of the scores.
      values: what SRI compares, such as errors; None: right and wrong as 1 and 0.
      workers: processes.
      progress: called with the centres done and their number, SSI and SRI counted apart.

    Raises:
      InputError: the places, values or centres cannot be used.
    """
    rows = plan.rows(right)
    total = len(rows) * (2 if plan.sri else 1)
    readings = (
        Reading(dataclasses.replace(plan.ssi, marks='unmarked')),
        Reading(plan.ssi, plan.marks(right)),
    )
    found: tuple[CentreScores, ...] = ssi_readings(
        lonlat, readings, centres=rows, workers=workers, progress=_behind(progress, 0, total)
    )
    if plan.sri:
        found += sri(
            lonlat, right.astype(np.float64) if values is None else values, plan.sri,
            centres=rows, workers=workers, progress=_behind(progress, len(rows), total),
        )  # fmt: skip
    return dict(zip(plan.names, found, strict=True))


def _behind(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of a part of the work, as that of all of it."""
    return progress and (lambda done, _: progress(before + done, total))
