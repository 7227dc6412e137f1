"""Spatial relative information: how unlike the parts of a neighbourhood are to the whole of it.

The samples within a radius of a centre are cut into cells, rings of distance or sectors of
direction; the score is how far the values of the whole are from those of each part. Source: PyGBS
(`partition/`, `gbs/sri/`, in the version behind its published tables).

Departures, undone by `SriParameters.published`: all histograms have the same bins (over the range
of the whole data set), places south of the equator are where they are, sectors start at north
everywhere, and cells go on across 180 degrees. A centre has no direction of its own and is in no
sector. Where no part is large enough the score is nan; the tables have 0.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real, Shaped

from gair_jax.scores.geo_bias.chunks import MOST_PAIRS, Progress, chunk_size, over_chunks
from gair_jax.scores.geo_bias.divergence import Histograms, relative_information
from gair_jax.scores.geo_bias.inputs import centre_rows, finite_values, latlon_radians
from gair_jax.scores.geo_bias.neighbourhoods import Pairs, ball_tree, nearest_within
from gair_jax.scores.geo_bias.parameters import SriParameters
from gair_jax.scores.geo_bias.partitions import Square, direction_sectors, distance_lags
from gair_jax.scores.geo_bias.results import PartScores

PARTITIONS = ('scale_grid', 'distance_lag', 'direction_sector')


class SriScores(NamedTuple):
    """The scores of the three partitions.

    scale_grid: cells around the centre, with all samples in them, also outside the circle.
    distance_lag: rings of distance within the circle.
    direction_sector: sectors of direction within the circle.
    """

    scale_grid: PartScores
    distance_lag: PartScores
    direction_sector: PartScores


def sri(
    lonlat: Real[np.ndarray, 'n 2'],
    values: Shaped[np.ndarray, ' m'],
    parameters: SriParameters,
    *,
    centres: Integer[np.ndarray, ' c'] | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> SriScores:
    """The spatial relative information around each centre.

    Args:
      lonlat: degrees, longitude first.
      values: hits 0 and 1 or any finite result, one a place.
      parameters: of the scores.
      centres: rows of the samples that are centres; None: all.
      workers: processes.
      progress: called with the centres done and their number.

    Raises:
      InputError: a place that is none, fewer than 2, values that are not finite, or lengths that
        differ.
    """
    places = latlon_radians(lonlat)
    work = Cut(places, finite_values(values, len(places)), parameters)
    rows = centre_rows(centres, len(places))
    size = min(chunk_size(len(places)), max(1, MOST_PAIRS // (max(work.n_parts) * parameters.bins)))
    made = over_chunks(work, rows, size, workers=workers, progress=progress)
    n = np.concatenate([chunk[0] for chunk in made])
    described = parameters.describe()
    found = []
    for k, name in enumerate(PARTITIONS):
        score, parts, kept = map(np.concatenate, zip(*(chunk[1][k] for chunk in made), strict=True))
        found.append(PartScores(f'{described}; {name}', score, n, parts, kept, len(places)))
    return SriScores(*found)


@dataclasses.dataclass(frozen=True, eq=False)
class Cut:
    """Cuts neighbourhoods and scores them.

    places: latitude and longitude, radians.
    values: of the samples.
    parameters: of the scores.
    """

    places: Float[np.ndarray, 'n 2']
    values: Float[np.ndarray, ' n']
    parameters: SriParameters

    @property
    def n_parts(self) -> tuple[int, int, int]:
        """Of each partition."""
        return (2 * self.parameters.half_cells) ** 2, self.parameters.lags, self.parameters.sectors

    @functools.cached_property
    def tree(self) -> Any:
        """Of the samples on the sphere."""
        return ball_tree(self.places)

    @functools.cached_property
    def square(self) -> Square:
        """The samples in the plane of latitude and longitude."""
        reach = self.parameters.scale * self.parameters.half_cells
        return Square(self.places, reach, published=self.parameters.published)

    @functools.cached_property
    def histograms(self) -> Histograms:
        """Of the values."""
        return Histograms(self.values, self.parameters.bins, self.parameters.published)

    def __call__(self, centres: Integer[np.ndarray, ' c']) -> tuple[np.ndarray, list[tuple]]:
        """Samples int [c] around centres (rows), and what `score` gives for each partition."""
        parameters, (cells, lags, sectors) = self.parameters, self.n_parts
        circle = self.circle(centres)
        square, cell = self.square.cells(centres, parameters.scale, parameters.half_cells)
        lag = distance_lags(circle.distance, parameters.lag, lags)
        parts = (
            (square, cell, cells),
            (circle, lag, lags),
            (circle, self.sector(centres, circle), sectors),
        )
        return np.bincount(circle.centre), [self.score(circle, *found) for found in parts]

    def circle(self, centres: Integer[np.ndarray, ' c']) -> Pairs:
        """The neighbourhoods of centres (rows): all samples within the radius."""
        return nearest_within(self.tree, self.places[centres], self.parameters.radius, 0)

    def sector(
        self, centres: Integer[np.ndarray, ' c'], circle: Pairs
    ) -> Integer[np.ndarray, ' p']:
        """The sectors of the samples of neighbourhoods."""
        return direction_sectors(
            self.places[centres[circle.centre]],
            self.places[circle.row],
            self.parameters.sectors,
            published=self.parameters.published,
        )

    def score(
        self, circle: Pairs, members: Pairs, part: Integer[np.ndarray, ' p'], n_parts: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The `relative_information` of neighbourhoods whose members are cut into parts."""
        n_centres = int(circle.centre[-1]) + 1  # a centre is in its own neighbourhood
        whole = self.histograms.counts(circle.row, circle.centre, n_centres)
        inside = part >= 0
        groups = members.centre[inside] * n_parts + part[inside]
        counts = self.histograms.counts(members.row[inside], groups, n_centres * n_parts)
        parted = counts.reshape(n_centres, n_parts, -1)
        return relative_information(whole, parted, self.parameters.threshold)
