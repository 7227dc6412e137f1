"""Windows of scenes: how many a second, and what they cost over the line."""

import contextlib
import functools

import numpy as np
import rasterio

from gair_jax.bench import timing
from gair_jax.builders.streetscapes import scenes_cog
from gair_jax.builders.streetscapes.scenes_signing import Signer
from gair_jax.builders.streetscapes.scenes_source import BANDS
from tests.builders.streetscapes.test_scenes_reading import (
    DATE,
    LEFT,
    TOP,
    only,
    source_of,
    tile,
    touched,
    window,
)
from tests.standins import catalogue, child, made_builds, scene_files
from tests.standins.figure import Figure
from tests.standins.scene_files import Scene

CITY = 384  # pixels: a city's tile of photos within 1.9 km, with its margin
COLD = 246  # pixels: a zoom-14 tile

_cog = functools.lru_cache(scene_files.cog)


def _scene(sizes):
    return Scene(date=DATE, left=LEFT, top=TOP, side=sizes.scene)


def windows(folder, sizes):
    """Windows a second of ten bands on a local disk, beside a loop that only opens and reads."""
    for block, side, least in ((512, 128, 20), (1024, 128, 6), (1024, CITY, 5)):
        paths = _local(folder, sizes, block)
        tiles = _tiles(sizes, side)
        calls = {
            'ours': functools.partial(_ours, paths, tiles),
            'bare': functools.partial(_bare, paths, tiles),
        }
        times = timing.in_turn(calls, sizes.rounds)
        ours, bare = (len(tiles) / times[name].median for name in calls)
        what = f'windows of {side} px, blocks of {block}'
        note = 'Local disk, 10 bands, one open a band; the files hold noise, which packs badly.'
        # Of a city's windows only the rate is asked for.
        share = {'least': 0.7} if side != CITY else {}
        yield Figure(what, ours, 'a second', least=least, note=note if block == 512 else '')
        yield Figure(f'{what}, by a bare loop', ours / bare, f'of {bare:.3g} a second', **share)


def _local(folder, sizes, block):
    paths = {band: folder / f'{block}' / f'{band}.tif' for band in BANDS}
    for band, path in paths.items():
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_cog(_scene(sizes), band, block))
    return paths


def _tiles(sizes, side):
    """Windows anywhere in the scene, on its grid of 20 m."""
    rng = np.random.default_rng(side)
    places = rng.integers(0, (sizes.scene - side) // 2, (sizes.windows, 2)) * 20
    return [tile(left=LEFT + x, top=TOP - y, width=side, height=side) for x, y in places.tolist()]


def _ours(paths, tiles):
    files = scenes_cog.Files(Signer('', 0.0), 0.0)
    for where in tiles:
        np.stack([files.read(str(path), where).values for path in paths.values()])


def _bare(paths, tiles):
    with rasterio.Env():
        for where in tiles:
            for path in paths.values():
                with rasterio.open(path) as raster:
                    size = int(raster.transform.a)
                    x, y = (int(v) // size for v in (where.bounds[0] - LEFT, TOP - where.bounds[1]))
                    side = where.width * 10 // size
                    raster.read(1, window=((y, y + side), (x, x + side)))


@contextlib.contextmanager
def _served(sizes):
    """A catalogue of one granule with blocks of 1,024 pixels, whose files are made but once."""
    with catalogue.serve([_scene(sizes)], block=1024) as served:
        served.file = lambda _, band: _cog(_scene(sizes), band, 1024)
        served.warm()
        yield served


def cold(folder, sizes):
    """What a window of a city's tile costs over the line when nothing is known yet."""
    middle = (10240 - COLD * 5) // 20 * 20  # metres: around the corner of four blocks of 1,024
    for name, corner in (('in one block', 400), ('over four blocks', middle)):
        where = tile(left=LEFT + corner, top=TOP - corner, width=COLD, height=COLD)
        with _served(sizes) as served:
            source = source_of(served)
            item, blocks = only(source, where), 0
            served.forget()
            window(source, item, where)
            requests, size = served.requests, served.bytes
        for path in _local(folder, sizes, 1024).values():
            blocks += touched(path, where)
        yield Figure(f'requests of a cold window {name}', requests, most=45)
        yield Figure(
            f'bytes of a cold window {name}, by its blocks',
            size / blocks,
            f'of {blocks / 1e6:.1f} MB',
            most=1.1,
        )


def once(folder, sizes):
    """Bytes of scenes of ten times the photos: a tile is read once a date."""
    sent = []
    for count in (12, 120):
        # What GDAL keeps of a file it has closed would hide that it is read again.
        forgets = rasterio.Env(CPL_VSIL_CURL_NON_CACHED='/vsicurl/')
        with catalogue.serve(made_builds.scenes()) as served, forgets:
            made_builds.scenes_fetched(folder / str(count), count, served.url)
            sent.append(served.bytes)
    note = f'{sent[0] / 1e6:.1f} MB; search, selection and bands of two dates of one city.'
    yield Figure('bytes of scenes, 120 photos by 12', sent[1] / sent[0], most=1.05, note=note)


def memory(folder, sizes):
    """Most memory of a process that fetches windows of a city's size over the line."""
    with _served(sizes) as served:
        tiles = _tiles(sizes, CITY)[:8]
        ran = child.run(made_builds.fetch_scenes, str(folder / 'scenes'), tiles, served.url)
    assert ran.answer == len(tiles), ran
    yield Figure('memory of fetch-scenes', ran.peak / 2**30, 'GiB', most=1)
