"""What a search found, as the table, the pictures and the page take it."""

import csv
import math
import os
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gair_jax.geo.sphere import great_circle_m
from gair_jax.report.search_page.tile_map import TileMap
from gair_jax.serve.gallery import Top

NOWHERE = (math.nan, math.nan)
COLUMNS = (
    'query', 'rank', 'score', 'lon', 'lat', 'id', 'photo', 'metres', 'best_lon', 'best_lat',
    'best_score',
)  # fmt: skip
Lonlat = tuple[float, float]


class ListedPhoto(NamedTuple):
    """A photo that may be shown.

    id: its name for people; path: as it was given or as the gallery has it; file: where it is read
    from, '' for nowhere; lonlat: degrees where it was taken, nan if unknown.
    """

    id: str
    path: str
    file: str
    lonlat: Lonlat


class Query(NamedTuple):
    """What was looked for: a photo (index into `Findings.photos`), or a place or tile (-1).

    heat: index of the photo's heat map, -1 for none; lonlat: its known place, nan if unknown.
    """

    photo: int
    heat: int
    lonlat: Lonlat


class Hit(NamedTuple):
    """One answer.

    query: index; rank: from 1; score: cosine; lonlat: of the place found, or where the photo found
    was taken; photo: index of the photo found, -1 where a place was; heat: index of its heat map,
    -1 for none; best, best_score: the photo's best point in the tile, nan without one.
    """

    query: int
    rank: int
    score: float
    lonlat: Lonlat
    photo: int = -1
    heat: int = -1
    best: Lonlat = NOWHERE
    best_score: float = math.nan


class Findings(NamedTuple):
    """A search and its answers.

    kind: 'places', where hits are points of the tile, or 'photos'; title, summary, origin: for
    people; near: the nearest photos (indices into `photos`) of every cell, k of 0 for none; heats:
    cosines [p, rows, columns], nan without data; map: what they lie on.
    """

    kind: str
    title: str
    summary: str
    origin: str
    queries: list[Query]
    hits: list[Hit]
    photos: list[ListedPhoto]
    heats: Float[np.ndarray, 'p r c']
    near: Top
    map: TileMap

    def metres(self, hit: Hit) -> float:
        """From the query's known place to the answer; nan where one of them is unknown."""
        return float(great_circle_m(np.array(self.queries[hit.query].lonlat), np.array(hit.lonlat)))


def write_table(found: Findings, path: pathlib.Path) -> None:
    """Writes the hits as CSV, whole or not at all; what is unknown is empty."""
    part = path.with_name(path.name + '.part')
    try:
        with part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(_line(found, hit) for hit in found.hits)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _line(found: Findings, hit: Hit) -> list[str]:
    asked = found.queries[hit.query].photo
    name = ['', ''] if hit.photo < 0 else list(found.photos[hit.photo][:2])
    return [
        '' if asked < 0 else found.photos[asked].path,
        str(hit.rank),
        _number(hit.score, 6),
        *(_number(degrees, 7) for degrees in hit.lonlat),
        *name,
        _number(found.metres(hit), 1),
        *(_number(degrees, 7) for degrees in hit.best),
        _number(hit.best_score, 6),
    ]


def _number(value: float, digits: int) -> str:
    return f'{value:.{digits}f}' if math.isfinite(value) else ''
