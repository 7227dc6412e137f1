"""`gair search --earth`: where on Earth a photo looks at home, as table, picture and GeoTIFF."""

import csv
import dataclasses
import io
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import rasterio

import gair_jax
from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.geo.sphere import great_circle_m
from gair_jax.input import photo_files
from gair_jax.report import coastlines
from gair_jax.report.figures import new_figure, save
from gair_jax.serve import earth
from gair_jax.serve.earth import Answer, Mesh
from gair_jax.serve.gallery import cosines, unit64
from gair_jax.train.metrics_writer import ProgressBar

COLUMNS = ('query', 'rank', 'score', 'lon', 'lat', 'km')
THUMBNAIL = (420, 320)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EarthRequest:
    """What is asked for.

    checkpoint, revision, compute: see `gair_jax.load`.
    photos: paths. place: lon and lat where the only photo was taken; () asks its EXIF.
    spacing: of the mesh, degrees. bounds: left, bottom, right, top, degrees.
    top: answers a photo.
    """

    checkpoint: str
    revision: str = ''
    compute: str = ''
    photos: tuple[str, ...]
    place: tuple[float, ...] = ()
    spacing: float = 1.0
    bounds: tuple[float, ...] = earth.EARTH
    top: int = 10

    def check(self) -> None:
        """Raises InputError for a request that cannot be answered."""
        if not self.photos:
            raise InputError('search: expected --photo to look for on the Earth.')
        if self.place and len(self.photos) > 1:
            raise InputError(
                f'place: expected one photo that was taken there, found {len(self.photos)}.'
            )
        if self.place:
            tiles.check_lonlat(np.array(self.place, np.float64), 'place')
        if self.top < 1:
            raise InputError(f'top: expected at least 1, found {self.top}.')


class Found(NamedTuple):
    """What is found of a photo.

    heat: cosines [r, c]; answers: summits, best first; known: where it was taken, nan if unknown;
    above: share of the mesh's area that is more similar than that place, nan likewise.
    """

    photo: str
    heat: np.ndarray
    answers: list[Answer]
    known: np.ndarray
    above: float


def run(request: EarthRequest, out: pathlib.Path) -> list[Found]:
    """Searches, writes results.csv, heat_map.png and similarity.tif into `out`, and says so.

    Raises:
      InputError: the request, the checkpoint or a photo cannot be used; nothing is written then.
    """
    start = time.monotonic()
    request.check()
    places = earth.mesh(request.bounds, request.spacing)
    known = [_known(path, request.place) for path in request.photos]
    model = gair_jax.load(request.checkpoint, revision=request.revision, compute=request.compute)
    model.require('location', 'common')
    photos = unit64(model.encode_sv(request.photos))
    count = places.shape[0] * places.shape[1]
    with ProgressBar('places', count) as bar:
        heats = earth.similarity(model, photos, places, lambda done: bar.update(done, ''))
    own = [_own(model, photo, lonlat) for photo, lonlat in zip(photos, known, strict=True)]
    found = [
        Found(path, heat, earth.summits(heat, places, request.top), lonlat, _above(heat, places, s))
        for path, heat, lonlat, s in zip(request.photos, heats, known, own, strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    _write_table(found, out / 'results.csv')
    _write_raster(found, places, model, out / 'similarity.tif')
    if not draw(found, places, out / 'heat_map.png'):
        print(coastlines.ABSENT)
    _say(found, out, time.monotonic() - start)
    return found


def draw(found: Sequence[Found], places: Mesh, path: pathlib.Path) -> bool:
    """Writes the picture, a row a photo; returns whether coastlines were drawn."""
    left, bottom, right, top = places.bounds
    ratio = (right - left) / (top - bottom)
    figure = new_figure(2.6 + 3.0 * min(ratio, 3.0), 3.1 * len(found) + 0.7)
    grid = figure.subplots(len(found), 2, squeeze=False, width_ratios=(1, max(1.0, 1.4 * ratio)))
    lined = True
    for axes, one in zip(grid, found, strict=True):
        axes[0].imshow(_pixels(one.photo))
        axes[0].set(xticks=[], yticks=[])
        axes[0].set_xlabel(pathlib.Path(one.photo).name, fontsize=8, parse_math=False)
        drawn = axes[1].imshow(
            one.heat, extent=(left, right, bottom, top), cmap='plasma', aspect='auto'
        )
        figure.colorbar(drawn, ax=axes[1], shrink=0.8, label='cosine')
        lined &= coastlines.draw(axes[1], (left, bottom, right, top))
        axes[1].set(xlim=(left, right), ylim=(bottom, top), xlabel='lon', ylabel='lat')
        for number, answer in enumerate(one.answers[:3], 1):
            _mark(axes[1], answer.lonlat, str(number))
        axes[1].plot(*one.known, '+', color='white', markersize=15, markeredgewidth=4)
        axes[1].plot(*one.known, '+', color='black', markersize=13, markeredgewidth=2)
    figure.suptitle('Similarity of a photo to places', fontsize=11)
    figure.supxlabel(
        'Numbers: the most similar places. A cross: where it is known to be taken.', fontsize=8.5
    )
    save(figure, path)
    return lined


def _mark(axes: Any, lonlat: tuple[float, float], text: str) -> None:
    axes.plot(*lonlat, 'o', color='black', markersize=8, fillstyle='none', markeredgewidth=3)
    axes.plot(*lonlat, 'o', color='white', markersize=8, fillstyle='none', markeredgewidth=1.4)
    axes.annotate(text, lonlat, (6, 4), textcoords='offset points', color='white', fontsize=9)


def _pixels(path: str) -> np.ndarray:
    image = photo_files.read(path).image
    image.thumbnail(THUMBNAIL)
    return np.asarray(image)


def _known(path: str, place: Sequence[float]) -> np.ndarray:
    """Where a photo was taken, as given or by its EXIF; nan where neither tells."""
    if place:
        return np.array(place, np.float64)
    return np.array(photo_files.read(path).lonlat, np.float64)


def _own(model: Any, photo: np.ndarray, lonlat: np.ndarray) -> float:
    """The photo's cosine with the place where it was taken; nan where that is not known."""
    if np.isnan(lonlat).any():
        return float('nan')
    return float(cosines(photo[None], unit64(model.encode_location(lonlat[None])))[0, 0])


def _above(heat: np.ndarray, places: Mesh, score: float) -> float:
    return float('nan') if np.isnan(score) else earth.share_above(heat, places, score)


def _write_table(found: Sequence[Found], path: pathlib.Path) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(COLUMNS)
    for one in found:
        for rank, answer in enumerate(one.answers, 1):
            lonlat = np.array(answer.lonlat)
            km = float(great_circle_m(lonlat, one.known)) / 1000
            cells = [f'{answer.score:.6f}', *(f'{value:.6f}' for value in lonlat)]
            table.writerow([one.photo, rank, *cells, '' if np.isnan(km) else f'{km:.1f}'])
    part = path.with_name(f'{path.name}.part')
    part.write_text(text.getvalue(), encoding='utf-8')
    os.replace(part, path)


def _write_raster(found: Sequence[Found], places: Mesh, model: Any, path: pathlib.Path) -> None:
    """A band a photo, in WGS84."""
    (rows, columns), (width, height) = places.shape, places.step
    part = path.with_name(f'{path.name}.part')
    with rasterio.open(
        part, 'w', driver='GTiff', count=len(found), height=rows, width=columns, dtype='float32',
        crs='EPSG:4326', compress='deflate', nodata=float('nan'),
        transform=rasterio.Affine(width, 0, places.bounds[0], 0, -height, places.bounds[3]),
    ) as sink:  # fmt: skip
        sink.write(np.stack([one.heat for one in found]))
        sink.descriptions = [pathlib.Path(one.photo).name for one in found]
        sink.update_tags(gair_jax=json.dumps(vars(model.origin)))
    os.replace(part, path)


def _say(found: Sequence[Found], out: pathlib.Path, seconds: float) -> None:
    for one in found:
        if not np.isnan(one.above):
            print(
                f'{one.photo}: {one.above:.1%} of the area is more similar than the place where it '
                'was taken.'
            )
    print(f'{out}/results.csv, heat_map.png and similarity.tif written in {seconds:.1f} s.')
