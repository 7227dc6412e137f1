"""`gair embed`."""

import argparse
import functools
from typing import Any

from gair_jax.input.tables import EMBED_FIELDS
from gair_jax.verbs import checkpoint_arguments
from gair_jax.verbs.data import column_map


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    embed = verbs.add_parser(
        'embed',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='embeddings of a table of photos, tiles and places',
        description='Adds embeddings to a CSV, Parquet or GeoParquet table and writes GeoParquet:\n'
        '  location   of the place: lon and lat, the point of a GeoParquet row, or EXIF GPS\n'
        '  sv         of the photo\n'
        '  rs         of the tile as a whole\n'
        '  localized  of the place in its tile\n'
        f'Columns known: {" ".join(EMBED_FIELDS)}.\n'
        'A column of a known name needs no mention in --columns. Rows that fail are kept, with\n'
        'the reason in the column error and in a file beside OUT, and make the exit code 1. The\n'
        'same command goes on where it was stopped.',
        epilog='example:\n'
        '  gair embed places.csv --checkpoint runs/quickstart --out places.parquet \\\n'
        '      --root files --columns photo=image,tile=tif,lon=x,lat=y',
    )
    add = embed.add_argument
    add('table', metavar='TABLE', help='.csv, .parquet or .geoparquet, one row a photo or place')
    checkpoint_arguments.add(embed)
    add('--out', required=True, help='.parquet or .geoparquet file')
    columns = functools.partial(column_map, known=EMBED_FIELDS)
    add('--columns', default={}, type=columns, help='KNOWN=YOURS,... where the names differ')
    add('--root', default='.', help='folder under which the files of the table lie')
    add('--basename', action='store_true', help='look files up by their name alone')
    add('--what', default=(), type=_listed, help='kinds, with commas (default: all possible)')
    add('--dtype', default='float32', choices=['float32', 'float16'], help='of the embeddings')
    add('--normalize', action='store_true', help='scale to unit length')
    add('--space', default='common', choices=['common', 'encoder'], help='see the documentation')
    _add_tiles(embed)
    add('--batch-rows', type=int, default=256, help='rows of a batch and of a row group')
    add('--max-failed', type=float, default=1.0, help='largest share of rows that may fail')
    embed.set_defaults(run=run)


def _add_tiles(embed: argparse.ArgumentParser) -> None:
    add = embed.add_argument
    add('--offset', type=float, help='subtracted from stored values (default: as in training)')
    add('--band-order', default='', help='eurosat: 13 bands with B8A last; else by their number')
    add('--overlap', type=float, default=0.25, help='share of a window that the next one covers')
    add('--window', type=int, default=0, help='side of a window, pixels; 0: as in training')


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(',') if part)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Embeds and prints what was written; 1 if rows failed."""
    from gair_jax.serve import embed

    given = vars(arguments)
    options = embed.EmbedOptions(**{k: given[k] for k in embed.OPTIONS})
    made = embed.write(
        checkpoint_arguments.load(arguments), arguments.table, arguments.out, options
    )
    kinds = ', '.join(f'embedding_{kind} ({width})' for kind, width in made.widths.items())
    resumed = f', {made.resumed} of them by a run that stopped' if made.resumed else ''
    print(f'{made.path}: {made.rows} rows{resumed}, {kinds}, {made.seconds:.1f} s.')
    if made.failed:
        print(f'{made.failed} of {made.rows} rows failed; {made.errors} says why.')
    return 1 if made.failed else 0
