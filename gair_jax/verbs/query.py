"""`gair query`."""

import argparse
from typing import Any

from gair_jax.config import InputError
from gair_jax.verbs import checkpoint_arguments, scene_arguments
from gair_jax.verbs.map import sentence


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    verb = verbs.add_parser(
        'query',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='localized embeddings of points inside a tile, or of a grid over it',
        description='Reads the embedding of a tile at exact places (NILI).\n'
        'Points (--points or --at) give GeoParquet: the columns of the table, geometry,\n'
        'embedding_localized, and error where the tile has no data. A grid (--spacing-px or\n'
        '--spacing-m) gives .tif, .zarr (which xarray opens) or .parquet, one row a cell.',
        epilog='examples:\n'
        '  gair query tile.tif --checkpoint runs/quickstart --points places.csv --out found.parquet'
        '\n  gair query tile.tif --checkpoint runs/quickstart --at=139.75,35.66 --out found.parquet'
        '\n  gair query tile.tif --checkpoint runs/quickstart --spacing-m 20 --out grid.zarr',
    )
    verb.add_argument('tile', metavar='TILE', help='GeoTIFF of any size, with a georeference')
    verb.add_argument('--out', required=True, help='.parquet, or for a grid also .tif or .zarr')
    verb.add_argument('--points', default='', metavar='TABLE', help='CSV, Parquet or GeoParquet')
    verb.add_argument(
        '--columns', default='', metavar='lon=x,lat=y', help='columns of the table, if named so'
    )
    verb.add_argument(
        '--at',
        action='append',
        default=[],
        metavar='LON,LAT',
        help='a place, degrees; may be repeated; a negative longitude needs =, --at=-83.2,42.5',
    )
    scene_arguments.add_spacing(verb, '')
    verb.add_argument('--dtype', default='float32', help='float32 (default) or float16')
    scene_arguments.add(verb)
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Queries, and says what was written."""
    size, unit = scene_arguments.spacing(arguments)
    asked = [bool(arguments.points), bool(arguments.at), bool(unit)]
    if sum(asked) != 1:
        raise InputError(
            'gair query: expected one of --points, --at and --spacing-px or --spacing-m, found '
            f'{sum(asked)}.'
        )
    if arguments.dtype not in ('float32', 'float16'):
        raise InputError(f'--dtype: expected float32 or float16, found {arguments.dtype!r}.')
    from gair_jax.serve import cells

    sampling = scene_arguments.sampling(arguments, *(size, unit) if unit else cells.DEFAULT)
    embedder = checkpoint_arguments.load(arguments)
    print((_grid if unit else _points)(embedder, arguments, sampling))
    return 0


def _grid(embedder: Any, arguments: argparse.Namespace, sampling: Any) -> str:
    from gair_jax.serve import scene_map

    written = scene_map.write(
        embedder,
        arguments.tile,
        arguments.out,
        sampling,
        dtype=arguments.dtype,
        subtract=arguments.offset,
        band_order=arguments.band_order,
    )
    return sentence(written)


def _points(embedder: Any, arguments: argparse.Namespace, sampling: Any) -> str:
    from gair_jax.serve import point_query

    if arguments.points:
        points = point_query.from_table(arguments.points, _columns(arguments.columns))
    else:
        points = point_query.from_places(
            [scene_arguments.lonlat(place, '--at') for place in arguments.at]
        )
    written = point_query.write(
        embedder,
        arguments.tile,
        points,
        arguments.out,
        sampling,
        dtype=arguments.dtype,
        subtract=arguments.offset,
        band_order=arguments.band_order,
    )
    without = f', {written.without_data} of them without data' if written.without_data else ''
    took = scene_arguments.duration(written.seconds)
    return f'{written.path}: {written.rows} places{without}; {took}.'


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition('=') for pair in text.split(',')] if text else []
    if not all(field and column for field, _, column in pairs):
        raise InputError(f'--columns: expected lon=COLUMN,lat=COLUMN, found {text!r}.')
    return {field.strip(): column.strip() for field, _, column in pairs}
