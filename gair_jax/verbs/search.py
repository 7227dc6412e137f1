"""`gair search`."""

import argparse
import pathlib
from typing import Any

from gair_jax.config import InputError
from gair_jax.verbs import checkpoint_arguments, scene_arguments


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    search = verbs.add_parser(
        'search',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='where in a tile a photo was taken; which photos look like a place or a tile',
        description='Searches by the cosine of embeddings:\n'
        '  --photo with --tile      where in the tile the photo was taken\n'
        '  --photo with --gallery   the places of the gallery that look like the photo\n'
        '  --place with --gallery   the photos that look like the place (with --tile: as the tile\n'
        '                           shows it)\n'
        '  --tile with --gallery    the photos that look like the tile, each at its best point\n'
        '  --photo with --earth     where on the Earth the photo looks at home, by its location\n'
        '                           encoder alone; writes results.csv, heat_map.png with '
        'coastlines\n                           (extra maps) and similarity.tif\n'
        'A gallery is a table that `gair embed` wrote. Writes results.csv, a picture and\n'
        'page.html, one file that works offline.',
        epilog='examples:\n'
        '  gair search --photo street.jpg --tile tile.tif --checkpoint runs/base --out found\n'
        '  gair search --place=139.75,35.66 --gallery photos.parquet --checkpoint runs/base '
        '--out found\n'
        '  gair search --tile tile.tif --gallery photos.parquet --checkpoint runs/base '
        '--out found\n'
        '  gair search --photo street.jpg --earth --bounds=-12,34,32,72 --mesh-deg 0.25 '
        '\\\n    --checkpoint runs/base --out found',
    )
    _add_what(search)
    _add_how(search)
    search.set_defaults(run=run)


def _add_what(search: argparse.ArgumentParser) -> None:
    checkpoint_arguments.add(search)
    search.add_argument('--out', required=True, help='folder written to')
    search.add_argument('--photo', nargs='+', default=[], help='JPEG or PNG, one or more')
    search.add_argument('--tile', default='', help='GeoTIFF of any size and CRS')
    search.add_argument('--gallery', default='', help='table of `gair embed`')
    search.add_argument('--earth', action='store_true', help='a mesh of places on the Earth')
    search.add_argument(
        '--mesh-deg', type=float, default=None, help='between these places, degrees (default 1)'
    )
    search.add_argument(
        '--bounds', default='', metavar='L,B,R,T', help='of the mesh, degrees (default all)'
    )
    search.add_argument(
        '--place',
        '--at',
        default='',
        metavar='LON,LAT',
        help='place asked for; with --photo, where it is known to have been taken (else its EXIF). '
        'A negative longitude needs =, as --place=-83.2,42.5',
    )


def _add_how(search: argparse.ArgumentParser) -> None:
    search.add_argument('--top', type=int, default=10, help='answers a photo or place (default 10)')
    search.add_argument(
        '--by',
        choices=('localized', 'location', 'rs'),
        default='',
        help='embeddings of the gallery that a photo is compared with (default: the first it has)',
    )
    search.add_argument(
        '--spacing-px',
        type=float,
        default=0.0,
        help='between points of the tile, in its pixels (default: 1/24 of a window, or 128 points '
        'a side)',
    )
    search.add_argument(
        '--apart',
        type=float,
        default=0.0,
        help='metres: a place is left out if one nearer than this is more similar (default: 1/6 '
        'of a window)',
    )
    search.add_argument('--window', type=int, default=0, help='pixels (default: as in training)')
    search.add_argument('--overlap', type=float, default=0.25, help='of windows (default 0.25)')
    search.add_argument(
        '--offset',
        type=float,
        help='subtracted from stored values: 1000 for Sentinel-2 L2A since baseline 04.00 that is '
        'not harmonised (default: of the sensor contract)',
    )
    search.add_argument(
        '--band-order', default='', choices=('eurosat',), help='of a tile without band names'
    )
    search.add_argument(
        '--root', default='.', help="folder of the gallery's photos, as for `gair embed`"
    )
    search.add_argument(
        '--thumbnails', type=int, default=300, help='photos in the page at most (default 300)'
    )
    search.add_argument(
        '--allow-other-checkpoint',
        action='store_true',
        help='take a gallery that another checkpoint made',
    )


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Searches, writes and says what was written."""
    if arguments.earth:
        return _run_earth(arguments)
    for option, given in (('--mesh-deg', arguments.mesh_deg), ('--bounds', arguments.bounds)):
        if given not in (None, ''):
            raise InputError(f'{option}: is of the mesh of --earth, found no --earth.')
    from gair_jax.report import search
    from gair_jax.report.search_page.request import Request
    from gair_jax.serve import compiled_cache

    compiled_cache.use()
    request = Request(
        checkpoint=arguments.checkpoint,
        revision=arguments.revision,
        compute=arguments.compute,
        photos=tuple(arguments.photo),
        tile=arguments.tile,
        gallery=arguments.gallery,
        place=scene_arguments.lonlat(arguments.place, '--place') if arguments.place else (),
        top=arguments.top,
        side=arguments.by,
        spacing=arguments.spacing_px,
        apart=arguments.apart,
        window=arguments.window,
        overlap=arguments.overlap,
        offset=arguments.offset,
        band_order=arguments.band_order,
        root=arguments.root,
        thumbnails=arguments.thumbnails,
        other_checkpoint=arguments.allow_other_checkpoint,
    )
    search.run(request, pathlib.Path(arguments.out))
    return 0


def _run_earth(arguments: argparse.Namespace) -> int:
    """`gair search --earth`."""
    if arguments.tile or arguments.gallery:
        found = '--tile' if arguments.tile else '--gallery'
        raise InputError(f'search: expected --earth alone beside --photo, found {found} too.')
    bounds = scene_arguments.numbers(
        arguments.bounds or '-180,-90,180,90', '--bounds', 'LEFT,BOTTOM,RIGHT,TOP'
    )
    from gair_jax.report import earth_search
    from gair_jax.serve import compiled_cache

    compiled_cache.use()
    request = earth_search.EarthRequest(
        checkpoint=arguments.checkpoint,
        revision=arguments.revision,
        compute=arguments.compute,
        photos=tuple(arguments.photo),
        place=scene_arguments.lonlat(arguments.place, '--place') if arguments.place else (),
        spacing=1.0 if arguments.mesh_deg is None else arguments.mesh_deg,
        bounds=bounds,
        top=arguments.top,
    )
    earth_search.run(request, pathlib.Path(arguments.out))
    return 0
