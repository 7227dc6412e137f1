"""Spatial self-information: how surprising the arrangement of samples around a place is.

Around each centre, the samples (marked by whether the answer was right, or all alike) and points of
background between them have a Moran's I; the score is how surprising it is for arrangements of the
same values. Higher means more clustered: more biased. Source: PyGBS (`gbs/ssi/`), TorchSpatial's
"Geo-Bias score"; no departure.

Scores of one radius, neighbourhood and weights share their geometry, which costs nearly all the
time: `ssi_readings` takes several at once.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real, Shaped

from gair_jax.config import InputError
from gair_jax.scores.geo_bias import surprisal
from gair_jax.scores.geo_bias.background import background, density
from gair_jax.scores.geo_bias.chunks import Progress, chunk_size, over_chunks
from gair_jax.scores.geo_bias.inputs import centre_rows, latlon_radians, marks_of
from gair_jax.scores.geo_bias.neighbourhoods import ball_tree, nearest_lists, nearest_within
from gair_jax.scores.geo_bias.parameters import SsiParameters
from gair_jax.scores.geo_bias.results import CentreScores

VALUES = np.array([-1.0, 0.0, 1.0])  # background is 0


class Reading(NamedTuple):
    """One score of the same places.

    parameters: its settings.
    marks: [n], of the kind that the settings name; not needed where they are `unmarked`.
    """

    parameters: SsiParameters
    marks: np.ndarray | None = None


def plus_minus(right: Shaped[np.ndarray, ' n']) -> Integer[np.ndarray, ' n']:
    """Marks +1 and -1 of answers that are right or wrong: booleans or hits 0 and 1, no others."""
    return np.where(marks_of('zero_one', right, len(right)) == 1, 1, -1)


def ssi(
    lonlat: Real[np.ndarray, 'n 2'],
    marks: Shaped[np.ndarray, ' m'] | None,
    parameters: SsiParameters,
    *,
    centres: Integer[np.ndarray, ' c'] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> CentreScores:
    """The spatial self-information around each centre.

    In the density form a centre without another sample has no score, nor has one whose samples all
    bear the mark of the background; in the tail form they do.

    Args:
      lonlat: degrees, longitude first; longitudes may run past 180.
      marks: one a place, as `parameters.marks` says; None where unmarked.
      parameters: of the score.
      centres: rows of the samples that are centres; None: all.
      workers: processes.
      progress: called with the centres done and their number.

    Raises:
      InputError: a place that is none, fewer than 2, other marks than the kind allows, or lengths
        that differ.
    """
    reading = Reading(parameters, marks)
    made = ssi_readings(lonlat, [reading], centres=centres, workers=workers, progress=progress)
    return made[0]


def ssi_readings(
    lonlat: Real[np.ndarray, 'n 2'],
    readings: Sequence[Reading],
    *,
    centres: Integer[np.ndarray, ' c'] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[CentreScores, ...]:
    """Several scores for little more than the time of one; arguments as of `ssi`.

    Raises:
      InputError: as `ssi`, or the readings differ in radius, neighbourhood or weights.
    """
    places = latlon_radians(lonlat)
    if len({reading.parameters.geometry for reading in readings}) != 1:
        raise InputError('readings: expected one radius, neighbourhood and number of weights.')
    marks = [marks_of(r.parameters.marks, r.marks, len(places)) for r in readings]
    around = Around(places, np.stack(marks), readings[0].parameters)
    rows = centre_rows(centres, len(places))
    size = chunk_size(len(places))
    made = over_chunks(around, rows, size, workers=workers, progress=progress)
    n, counts, sums = (np.concatenate(arrays) for arrays in zip(*made, strict=True))
    return tuple(
        _scores(reading.parameters, n, counts[:, k], sums[:, k])
        for k, reading in enumerate(readings)
    )


def _scores(
    parameters: SsiParameters, n: np.ndarray, counts: np.ndarray, sums: np.ndarray
) -> CentreScores:
    form = {'density': surprisal.density, 'tail': surprisal.tail}[parameters.form]
    probability = form(sums, surprisal.moments(VALUES, counts))
    return CentreScores(parameters.describe(), surprisal.surprisal(probability), n)


@dataclasses.dataclass(frozen=True, eq=False)
class Around:
    """Finds what is to be known around each centre.

    places: latitude and longitude, radians.
    marks: of each reading.
    parameters: whose geometry counts.
    """

    places: Float[np.ndarray, 'n 2']
    marks: Float[np.ndarray, 'k n']
    parameters: SsiParameters

    @functools.cached_property
    def tree(self) -> Any:
        """Of the samples."""
        return ball_tree(self.places)

    def __call__(self, centres: Integer[np.ndarray, ' c']) -> tuple[np.ndarray, ...]:
        """Samples int [c], counts of VALUES int [c, k, 3], Moran's I [c, k] of centres (rows)."""
        at, parameters = self.places[centres], self.parameters
        near = nearest_within(self.tree, at, parameters.radius, parameters.neighbourhood)
        n = np.bincount(near.centre, minlength=len(centres))
        found = [
            self._values(centre, rows)
            for centre, rows in zip(at, np.split(near.row, np.cumsum(n)[:-1]), strict=True)
        ]
        counts = [(values[..., None] == VALUES).sum(axis=1) for values, _ in found]
        sums = [surprisal.morans_sums(values, lists) for values, lists in found]
        return n, np.stack(counts), np.stack(sums)

    def _values(self, centre: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values [k, p] and neighbours [p, weights + 1] of samples (rows) and background.

        The samples come first, the nearest before the others: the tree's ties depend on it.
        """
        radius = self.parameters.radius
        empty = background(centre, radius, density(len(rows), radius))
        places = np.concatenate([self.places[rows], empty])
        values = np.zeros((len(self.marks), len(places)))
        values[:, : len(rows)] = self.marks[:, rows]
        return values, nearest_lists(places, self.parameters.weights)
