"""`gair search`: looks, and writes what was found as a table, a picture and a page."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from rich import console
from rich.progress import Progress

from gair_jax.config import InputError
from gair_jax.input import photo_files
from gair_jax.report import figures
from gair_jax.report.search_page import forms, page
from gair_jax.report.search_page.findings import Findings, Lonlat, write_table
from gair_jax.report.search_page.request import Request

DRAWN = 5  # rows of the picture with a tile, and of five photos each without one
PHOTO = (420, 320)  # pixels of a photo in it


def run(request: Request, out: pathlib.Path) -> Findings:
    """Searches, writes results.csv, a picture and page.html into `out`, and says so.

    Raises:
      InputError: the request, the checkpoint or a file cannot be used; nothing is written then.
    """
    start = time.monotonic()
    with _shown() as progress:
        found = forms.find(request, progress)
    out.mkdir(parents=True, exist_ok=True)
    write_table(found, out / 'results.csv')
    picture = draw(found, out)
    failed = page.write(found, out / 'page.html', thumbnails=request.thumbnails)
    if failed:
        print(f'{failed} photos cannot be read under --root and are listed without a picture.')
    seconds = time.monotonic() - start
    print(
        f'{len(found.hits)} {found.kind} found; {out}/results.csv, {picture} and page.html '
        f'written in {seconds:.1f} s.'
    )
    return found


def draw(found: Findings, out: pathlib.Path) -> str:
    """Writes heat_map.png where there is a tile, else results.png; returns the name."""
    if len(found.heats):
        tile, (height, width) = found.map.picture, found.map.ground
        rows = _sightings(found)[:DRAWN]
        figures.sightings(rows, tile, height / width, out / 'heat_map.png', found.title)
        return 'heat_map.png'
    shown = found.hits[: DRAWN * DRAWN]
    photos = [_photo(found, hit.photo) for hit in shown]
    captions = [f'{hit.rank}. {found.photos[hit.photo].id}\n{hit.score:.3f}' for hit in shown]
    figures.photo_panel(photos, captions, out / 'results.png', found.title)
    return 'results.png'


def _sightings(found: Findings) -> list[figures.Sighting]:
    """One of every photo that has a heat map: those given, or those found."""
    if found.kind == 'photos':
        return [_sighting(found, hit.photo, hit.heat, [hit.best], hit.lonlat) for hit in found.hits]
    rows = []
    for number, query in enumerate(found.queries):
        places = [hit.lonlat for hit in found.hits if hit.query == number]
        rows.append(_sighting(found, query.photo, query.heat, places, query.lonlat))
    return rows


def _sighting(
    found: Findings, photo: int, heat: int, places: list[Lonlat], known: Lonlat
) -> figures.Sighting:
    def inside(lonlats: list[Lonlat]) -> np.ndarray:
        at = [xy for xy in map(found.map.position, lonlats) if xy is not None]
        return 2 * np.reshape(at, (-1, 2)) - 1

    name = found.photos[photo].id
    return figures.Sighting(
        _photo(found, photo), name, found.heats[heat], inside(places), inside([known])
    )


def _photo(found: Findings, index: int) -> np.ndarray:
    """Pixels of a photo for the picture; none where it cannot be read."""
    nothing = np.zeros((0, 0, 3), np.uint8)
    if not found.photos[index].file:
        return nothing
    try:
        image = photo_files.read(found.photos[index].file).image
    except InputError:
        return nothing
    image.thumbnail(PHOTO)
    return np.asarray(image)


@contextlib.contextmanager
def _shown() -> Iterator[forms.Progress]:
    """Progress bars on a terminal, one a title."""
    with Progress(console=console.Console(stderr=True), disable=not sys.stderr.isatty()) as bars:

        def start(title: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(title, total=total)
            return lambda steps: bars.advance(task, steps)

        yield start
