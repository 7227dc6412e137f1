"""The command line's words: verbs, options and their help."""

import argparse
import os
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[argparse.Namespace, list[str]], int]
Raw = argparse.RawDescriptionHelpFormatter

PHOTO_COLUMNS = (
    'photo tile tile_date lon lat date heading licence group split id left top right bottom crs'
)


def add_verbs(verbs: Any, run: Mapping[str, Run]) -> None:
    """Adds every verb to the sub-parsers `verbs`; `run` says which function each calls."""
    _add_train(verbs, run['train'])
    _add_first_look(verbs, run['first-look'])
    _add_data(verbs, run)


def _add_train(verbs: Any, run: Run) -> None:
    train = verbs.add_parser(
        'train',
        formatter_class=Raw,
        help='pre-train; resumes by itself',
        description='Pre-trains a model. A workdir that holds a checkpoint of the same run is '
        'resumed.\nAny setting is overridden by --config.SECTION.FIELD=VALUE; gair_jax/config.py '
        'explains each.',
        epilog='examples:\n'
        '  gair train --config=configs/pretrain/quickstart.py --workdir=runs/quickstart\n'
        '  gair train --config=configs/pretrain/gair_base.py:release --workdir=runs/base '
        '--config.batch=64',
    )
    train.add_argument('--config', required=True, help='config file, or file:preset')
    train.add_argument('--workdir', required=True, help='folder of checkpoints and metrics')
    train.set_defaults(run=run)


def _add_first_look(verbs: Any, run: Run) -> None:
    look = verbs.add_parser(
        'first-look',
        formatter_class=Raw,
        help='what a checkpoint has learnt: retrieval, place in the tile, linear probes',
        description='Evaluates a checkpoint on the test split of the data set it was trained on:\n'
        'retrieval of photos among tiles, the place of a photo inside its tile, and linear probes\n'
        'of each encoder against the same encoder at random initialisation. Writes summary.json\n'
        'and pictures, and prints a table that says what each figure means.',
        epilog='example:\n  gair first-look --checkpoint=runs/quickstart',
    )
    look.add_argument('--checkpoint', required=True, help='workdir or checkpoint folder')
    look.add_argument('--out', default='', help='folder written to (default: the checkpoint)')
    look.add_argument('--data-dir', default='', help='prepared data (default: as in training)')
    look.add_argument('--seed', type=int, default=0, help='seed of windows and samples')
    look.set_defaults(run=run)


def _add_data(verbs: Any, run: Mapping[str, Run]) -> None:
    data = verbs.add_parser('data', help='list, build and check data sets')
    actions = data.add_subparsers(dest='action', required=True, metavar='ACTION')
    build = actions.add_parser('build', help='raw files -> a prepared data set; resumable')
    sets = build.add_subparsers(dest='name', required=True, metavar='NAME')
    _add_synthetic(sets)
    _add_photos(sets)
    _add_eurosat(sets)
    for parser in sets.choices.values():
        parser.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
        parser.add_argument(
            '--workers', type=int, default=os.cpu_count() or 1, help='processes; change no byte'
        )
        parser.set_defaults(run=run['build'])
    listed = actions.add_parser('list', help='the data sets known and those prepared')
    listed.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
    listed.set_defaults(run=run['list'])
    check = actions.add_parser('check', help='read every record; exit 1 where something is wrong')
    check.add_argument('name', help='builder, such as photos')
    check.add_argument('--variant', default='default', help='which build of it')
    check.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
    check.set_defaults(run=run['check'])


def _add_synthetic(sets: Any) -> None:
    parser = sets.add_parser(
        'synthetic_world',
        help='a made-up world: tiles, street views and labels of all nine tasks',
        description='Draws a synthetic world by rule from a seed. Nothing in it is real.',
    )
    parser.add_argument('--variant', default='tiny', choices=['tiny', 'small'], help='its size')
    parser.add_argument('--seed', type=int, default=0, help='seed of the world')


def _add_eurosat(sets: Any) -> None:
    parser = sets.add_parser('eurosat_rgb', help='EuroSAT RGB chips with coordinates: RS + place')
    parser.add_argument('--source', required=True, help='folder with index.csv and the class zips')
    parser.add_argument('--variant', default='default', help='name of this build')


def _add_photos(sets: Any) -> None:
    parser = sets.add_parser(
        'photos',
        formatter_class=Raw,
        help='your own photos and tiles, from a table',
        description='Imports a CSV or Parquet table with GeoTIFF tiles and JPEG or PNG photos.\n'
        f'Columns known: {PHOTO_COLUMNS}.\n'
        'A column of a known name needs no mention in --columns. Several dates of one place stand\n'
        'in one tile cell with ; between, their dates likewise in tile_date. Splits are drawn by\n'
        'tile; fewer than 10 all go to train. Without lon and lat the EXIF position is taken.\n'
        'Rows that cannot be used are listed with the reason in a report beside the data set.\n'
        'A build that was stopped goes on where it was.',
        epilog='example:\n  gair data build photos --table places.csv --root files '
        '--columns photo=image,tile=tif,lon=x,lat=y',
    )
    add = parser.add_argument
    add('--table', required=True, help='.csv or .parquet, one row a photo or place')
    add('--columns', default={}, type=column_map, help='KNOWN=YOURS,... where the names differ')
    add('--root', default='.', help='folder under which the files of the table lie')
    add('--basename', action='store_true', help='look files up by their name alone')
    add('--variant', default='default', help='name of this build')
    add('--fractions', type=fractions, default=(0.8, 0.1, 0.1), help='train,val,test of the tiles')
    add('--seed', type=int, default=0, help='seed of the split')
    add('--max-failed', type=float, default=0.2, help='largest share of rows that may fail')
    add('--max-nodata', type=float, default=0.5, help='largest share of a tile without data')
    add('--sensor', default='sentinel2_10', help='sensor contract whose bands are taken')
    add('--band-order', default='', help='eurosat: 13 bands with B8A last; else by their number')
    add('--photo-side', type=int, default=0, help='reduce larger photos to this side; 0 keeps them')


def column_map(text: str) -> dict[str, str]:
    """`photo=image,lon=x` -> {'photo': 'image', 'lon': 'x'}."""
    known = PHOTO_COLUMNS.split()
    pairs = [part.partition('=') for part in text.split(',') if part]
    for name, equals, column in pairs:
        if name not in known or not equals or not column:
            raise argparse.ArgumentTypeError(
                f'{name!r}: expected KNOWN=YOURS with KNOWN one of {", ".join(known)}'
            )
    return {name: column for name, _, column in pairs}


def fractions(text: str) -> tuple[float, float, float]:
    """`0.8,0.1,0.1` -> shares of train, val and test, which must add up to 1."""
    try:
        train, val, test = (float(part) for part in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r}: expected three numbers') from None
    if min(train, val, test) < 0 or abs(train + val + test - 1) > 1e-6:
        raise argparse.ArgumentTypeError(f'{text!r}: expected shares that add up to 1')
    return train, val, test
