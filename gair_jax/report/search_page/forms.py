"""The forms of a search: a photo in a tile or in a gallery, and photos for a tile or a place."""

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

import gair_jax
from gair_jax.config import InputError
from gair_jax.input import photo_files
from gair_jax.input.tables import Files
from gair_jax.report.search_page import tile_map
from gair_jax.report.search_page.findings import NOWHERE, Findings, Hit, ListedPhoto, Lonlat, Query
from gair_jax.report.search_page.request import Request
from gair_jax.report.search_page.tile_map import TileMap
from gair_jax.serve import offset, search
from gair_jax.serve.embedder import Embedder
from gair_jax.serve.gallery import NONE, Gallery, Top, unit64
from gair_jax.serve.search import Cells

NEAR = 6  # photos that a click lists
APART_OF_WINDOW = 6  # places are a sixth of a window apart where nothing else is asked for
SIDES = ('localized', 'location', 'rs')
# Told the steps done of a total under a title: `progress(title, total)` gives what takes them.
Progress = Callable[[str, int], Callable[[int], None]]


class Scene(NamedTuple):
    """A tile made ready.

    cells: its points; map: what they lie on; apart: metres between places found in it; at: the
    embedding of the place asked for, or None.
    """

    cells: Cells
    map: TileMap
    apart: float
    at: Float[np.ndarray, '1 d'] | None


class Search(NamedTuple):
    """What every form works with; `progress` shows how far it is."""

    request: Request
    model: Embedder
    gallery: Gallery | None
    progress: Progress

    def rows(self, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of the gallery that have that embedding, in batches."""
        assert self.gallery is not None
        done = self.progress('rows of the gallery', len(self.gallery))
        for rows, embedding in self.gallery.batches(column, self.model.width('sv', 'common')):
            yield rows, embedding
            done(len(rows))

    def photo_rows(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows of the gallery that have a photo, in batches."""
        assert self.gallery is not None
        return self.rows(self.gallery.column(['sv']))

    def given(self) -> Float[np.ndarray, 'n d']:
        """Unit embeddings of the photos that were given."""
        return unit64(self.model.encode_sv(self.request.photos))

    def origin(self) -> str:
        """Who made this, for people."""
        made = self.model.origin
        return (
            f'Made by gair search (gair_jax {gair_jax.__version__}) with the checkpoint '
            f'{made.path}, sha256 {made.sha256[:12]}.'
        )


def find(request: Request, progress: Progress) -> Findings:
    """Searches; writes nothing.

    Raises:
      InputError: the request, the checkpoint or a file cannot be used.
    """
    request.check()
    given = [_given(path, request.place) for path in request.photos]
    model = gair_jax.load(request.checkpoint, revision=request.revision, compute=request.compute)
    gallery = None
    if request.gallery:
        gallery = Gallery(request.gallery, model, other_checkpoint=request.other_checkpoint)
    about = Search(request, model, gallery, progress)
    if not request.tile:
        return _places_of_gallery(about, given) if given else _photos_of_place(about)
    scene = _scene(about)
    return _places_of_tile(about, scene, given) if given else _photos_of_tile(about, scene)


def _scene(about: Search) -> Scene:
    request, model = about.request, about.model
    with model.raster(request.tile, offset=request.offset, band_order=request.band_order) as raster:
        offset.warn(raster)
        grid = model.grid(raster.shape, request.overlap, request.window)
        shape = search.divisions(raster.shape, grid.size, request.spacing)
        drawn, at = tile_map.of_tile(raster), None
        if request.place and not request.photos:
            at = search.localize_place(model, raster, grid, request.place)
        done = about.progress('windows of the tile', len(grid))
        cells = search.embed_cells(model, raster, grid, shape, done)
        window = np.array(grid.size) * drawn.ground / raster.shape
    apart = request.apart or float(window.min()) / APART_OF_WINDOW
    return Scene(cells, drawn, apart, at)


def _places_of_tile(about: Search, scene: Scene, given: list[ListedPhoto]) -> Findings:
    embedding, cells = about.given(), scene.cells
    places = [
        search.find_places(cells, photo, about.request.top, scene.apart) for photo in embedding
    ]
    rows = about.photo_rows() if about.gallery else [(np.arange(len(given)), embedding)]
    near = search.find_photos(cells, rows, 1, NEAR).near
    photos = given
    if about.gallery:
        photos, (near,) = _listed(about, given, near)
    return Findings(
        kind='places',
        title='Where was it taken?' if len(given) == 1 else 'Where were they taken?',
        summary=f'{_count(len(given), "photo")} against {_points(scene)}. No place is listed that '
        f'has a more similar one within {scene.apart:.0f} m.',
        origin=about.origin(),
        queries=[Query(i, i, photo.lonlat) for i, photo in enumerate(given)],
        hits=[
            Hit(i, rank, float(score), _pair(cells.lonlat[cell]))
            for i, found in enumerate(places)
            for rank, (cell, score) in enumerate(zip(found.cell, found.score, strict=True), 1)
        ],
        photos=photos,
        heats=np.stack([found.heat for found in places]),
        near=near,
        map=scene.map,
    )


def _photos_of_tile(about: Search, scene: Scene) -> Findings:
    assert about.gallery is not None
    request, cells = about.request, scene.cells
    found = search.find_photos(cells, about.photo_rows(), request.top, NEAR, scene.at)
    best = found.best.row[0][found.best.row[0] != NONE]
    embedding = search.pick(about.photo_rows(), best)
    places = [search.find_places(cells, embedding[row], 1, 0.0) for row in best.tolist()]
    photos, (top, near) = _listed(about, [], found.best, found.near)
    where = f'lon {request.place[0]:.5f}, lat {request.place[1]:.5f} in ' if request.place else ''
    return Findings(
        kind='photos',
        title='Photos that look like this tile',
        summary=f'The photos of {about.gallery.path.name} most similar to {where}{_points(scene)}. '
        'Each number stands at the best point of its photo, whose heat map its line shows.',
        origin=about.origin(),
        queries=[Query(NONE, NONE, _pair(request.place or NOWHERE))],
        hits=[
            hit._replace(
                heat=i,
                best=_pair(cells.lonlat[places[i].cell[0]]),
                best_score=float(places[i].score[0]),
            )
            for i, hit in enumerate(_hits(photos, top))
        ],
        photos=photos,
        heats=np.reshape([place.heat for place in places], (-1, *cells.shape)),
        near=near,
        map=scene.map,
    )


def _photos_of_place(about: Search) -> Findings:
    assert about.gallery is not None
    place = about.request.place
    query = unit64(about.model.encode_location([place]))
    top = search.find_rows(query, about.photo_rows(), about.request.top)
    photos, (top,) = _listed(about, [], top)
    summary = f'The photos of {about.gallery.path.name} most similar to lon {place[0]:.5f}, lat '
    queries = [Query(NONE, NONE, _pair(place))]
    return _without_tile(
        about,
        'Photos that look like this place',
        f'{summary}{place[1]:.5f}, by the embedding of the place itself.',
        queries,
        photos,
        top,
    )


def _places_of_gallery(about: Search, given: list[ListedPhoto]) -> Findings:
    assert about.gallery is not None
    request = about.request
    column = about.gallery.column([request.side] if request.side else SIDES)
    top = search.find_rows(about.given(), about.rows(column), request.top)
    photos, (top,) = _listed(about, given, top)
    return _without_tile(
        about,
        'Where was it taken?' if len(given) == 1 else 'Where were they taken?',
        f'The places of {about.gallery.path.name} most similar to the photo, by {column}.',
        [Query(i, NONE, photo.lonlat) for i, photo in enumerate(given)],
        photos,
        top,
    )


def _without_tile(
    about: Search,
    title: str,
    summary: str,
    queries: list[Query],
    photos: list[ListedPhoto],
    top: Top,
) -> Findings:
    hits = _hits(photos, top)
    places = [*(hit.lonlat for hit in hits), *(query.lonlat for query in queries)]
    return Findings(
        kind='photos',
        title=title,
        summary=summary,
        origin=about.origin(),
        queries=queries,
        hits=hits,
        photos=photos,
        heats=np.zeros((0, 1, 1), np.float32),
        near=Top(1, 0),
        map=tile_map.around(np.array(places)),
    )


def _hits(photos: list[ListedPhoto], top: Top) -> list[Hit]:
    """Of every query, the photos found, best first; rows of `top` are indices into `photos`."""
    return [
        Hit(query, rank, float(score), photos[index].lonlat, int(index))
        for query, found in enumerate(zip(top.score, top.row, strict=True))
        for rank, (score, index) in enumerate(zip(*found, strict=True), 1)
        if index != NONE
    ]


def _listed(
    about: Search, given: list[ListedPhoto], *tops: Top
) -> tuple[list[ListedPhoto], list[Top]]:
    """The photos `given` and those of the gallery in `tops`, and `tops` by index into that list."""
    assert about.gallery is not None
    rows = np.unique(np.concatenate([top.row[top.row != NONE] for top in tops]))
    files = Files(pathlib.Path(about.request.root), about.gallery.by_name)
    entries = about.gallery.entries(rows)
    photos = [
        ListedPhoto(entry.id, entry.photo, _file(files, entry.photo), _pair(entry.lonlat))
        for entry in (entries[row] for row in rows.tolist())
    ]
    indexed = []
    for top in tops:
        index = np.where(top.row == NONE, NONE, len(given) + np.searchsorted(rows, top.row))
        indexed.append(top.with_rows(index))
    return [*given, *photos], indexed


def _file(files: Files, path: str) -> str:
    """The file of a gallery's photo; '' for none, or for one that is not under the root."""
    try:
        return str(files.root / files.find(path)) if path else ''
    except InputError:
        return ''


def _given(path: str, place: Sequence[float]) -> ListedPhoto:
    """A photo of the command line, with the place that is told, else that of its EXIF."""
    lonlat = photo_files.read(path).lonlat
    if not (abs(lonlat[0]) <= 180 and abs(lonlat[1]) <= 90):
        lonlat = NOWHERE
    return ListedPhoto(pathlib.Path(path).name, path, path, _pair(place or lonlat))


def _points(scene: Scene) -> str:
    rows, columns = scene.cells.shape
    height, width = scene.cells.metres
    return (
        f'{rows * columns} points of {pathlib.Path(scene.map.name).name}, one every {width:.3g} x '
        f'{height:.3g} m'
    )


def _count(n: int, what: str) -> str:
    return f'{n} {what}' if n == 1 else f'{n} {what}s'


def _pair(lonlat: Sequence[float] | np.ndarray) -> Lonlat:
    return float(lonlat[0]), float(lonlat[1])
