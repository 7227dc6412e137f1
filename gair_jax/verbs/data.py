"""`gair data`: list, build, sample and check data sets."""

import argparse
import importlib
import math
import os
from collections.abc import Iterable
from typing import Any

from gair_jax.input.tables import FIELDS
from gair_jax.verbs import streetscapes


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    data = verbs.add_parser('data', help='list, build, sample and check data sets')
    actions = data.add_subparsers(dest='action', required=True, metavar='ACTION')
    build = actions.add_parser('build', help='raw files -> a prepared data set; resumable')
    sets = build.add_subparsers(dest='name', required=True, metavar='NAME')
    _add_synthetic(sets)
    _add_photos(sets)
    _add_eurosat(sets)
    _add_eurosat_ms(sets)
    _add_masks(sets)
    _add_streetscapes(sets)
    _add_indicators(sets)
    _add_labelled(sets)
    streetscapes.add_build(sets)
    for name, parser in sets.choices.items():
        parser.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
        parser.add_argument(
            '--workers', type=int, default=os.cpu_count() or 1, help='processes; change no byte'
        )
        parser.set_defaults(run=streetscapes.run_build if name == 'streetscapes' else run_build)
    listed = actions.add_parser('list', help='the data sets known and those prepared')
    listed.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
    listed.set_defaults(run=run_list)
    _add_sample(actions)
    streetscapes.add_status(actions)
    check = actions.add_parser('check', help='find what is wrong or missing; exit 1 if so')
    check.add_argument('name', help='builder, such as photos')
    check.add_argument('--variant', default='default', help='which build of it')
    check.add_argument('--data-dir', default='prepared', help='where prepared sets lie')
    check.add_argument(
        '--root', default='', help='folder of raw files: name those it lacks instead'
    )
    check.set_defaults(run=run_check)


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


def _add_eurosat_ms(sets: Any) -> None:
    parser = sets.add_parser('eurosat_ms', help='EuroSAT chips of 13 bands: RS + place')
    add = parser.add_argument
    add('--source', required=True, help='folder of the class folders')
    add('--splits', default='', help='lists of names are at SPLITS + train.txt, ...; else drawn')
    add('--sensor', default='sentinel2_10', help='sensor contract whose bands are kept')
    _add_common(parser)


def _add_masks(sets: Any) -> None:
    """The remote sensing data sets with masks, which take the same options."""
    for name, text, folder in (
        ('hls_burn_scars', 'HLS scenes with burn scar masks', 'training/ and validation/'),
        ('ai4smallfarms', 'Sentinel-2 tiles with masks of small fields', 'sentinel-2-asia/'),
        ('crop_type_south_sudan', 'Sentinel-2 series with masks of crops', 'southsudan/'),
    ):
        parser = sets.add_parser(name, help=text)
        parser.add_argument('--source', required=True, help=f'folder that holds {folder}')
        parser.add_argument('--variant', default='default', help='name of this build')


def _add_streetscapes(sets: Any) -> None:
    parser = sets.add_parser('global_streetscapes', help='street views with labels of the view')
    add = parser.add_argument
    add('--source', required=True, help='folder of the official tables')
    add('--images', required=True, help='folder of the photos, named <uuid>.jpeg, .jpg or .png')
    add('--labels', required=True, choices=['perception', 'predicted', 'manual'], help='of which')
    add('--group-by-sequence', action='store_true', help='a sequence of photos in one split')
    _add_common(parser)


def _add_indicators(sets: Any) -> None:
    parser = sets.add_parser('indicators', help='socio-economic indicators of your street views')
    add = parser.add_argument
    add('--source', required=True, help='folder with allparameters.csv and images.csv')
    add('--root', default='', help='folder of the photos; without it --source')
    add('--columns', default=(), type=names, help='targets, with , between; without it ten known')
    _add_common(parser)


def _add_labelled(sets: Any) -> None:
    parser = sets.add_parser('labelled', help='your own labels of photos or tiles')
    add = parser.add_argument
    add('--source', required=True, help='table, or folder of [SPLIT/]CLASS/ folders')
    add('--root', default='', help='folder of the files in a table; without it that of the table')
    add('--target', dest='targets', default=[], action='append', help='column of a label; repeats')
    add('--kind', default='class', choices=['class', 'regression', 'mask'], help='of the labels')
    add('--classes', default=(), type=names, help='in order, with , between; without it as found')
    add('--sensor', default='sentinel2_10', help='sensor contract whose bands are taken')
    add(
        '--block-km', type=float, default=0.0,
        help='splits not in the table are drawn 60/20/20 in whole blocks of ground of this side',
    )  # fmt: skip
    _add_common(parser)


def _add_sample(actions: Any) -> None:
    parser = actions.add_parser(
        'sample',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='as many urban as rural places, to train on',
        description='Draws urban and rural places of a prepared data set, without replacement, and '
        'writes\nwhich: --config.data.sample=FILE trains on these. What is urban is told by a '
        'raster\nat the place, or by a label that the records carry.',
        epilog='examples:\n'
        '  gair data sample photos --raster people_per_km2.tif --urban-above 300 '
        '--out samples/even.json\n'
        '  gair data sample photos --raster land_cover.tif --urban-classes 50 --count 200000 \\\n'
        '    --out samples/even.json\n'
        '  gair data sample synthetic_world --variant tiny --label place_regression:log_population '
        '\\\n    --urban-above 3 --urban-share 0.9 --out samples/cities.json',
    )
    add = parser.add_argument
    add('name', help='data set, such as photos')
    add('--variant', default='default', help='which build of it')
    add('--data-dir', default='prepared', help='where prepared sets lie')
    add('--split', default='train', help='whose places are drawn (default train)')
    add('--raster', default='', help='GeoTIFF of one band, such as population density')
    add('--label', default='', help='of the records: NAME, or NAME:COMPONENT of several numbers')
    add('--urban-above', type=float, default=math.nan, help='values above this are urban')
    add('--urban-classes', type=codes, default=(), help='values that are urban, with , between')
    add('--rural-classes', type=codes, default=(), help='likewise; without it all others')
    add('--urban-share', type=float, default=0.5, help='of the places drawn, 0..1 (default 0.5)')
    add('--count', type=int, default=0, help='places drawn (default: the most that there are)')
    add('--seed', type=int, default=0, help='of the draw')
    add('--out', required=True, help='file written')
    parser.set_defaults(run=run_sample)


def _add_common(parser: Any) -> None:
    """Options of all data sets whose rows may fail."""
    parser.add_argument('--variant', default='default', help='name of this build')
    parser.add_argument('--seed', type=int, default=0, help='seed of the split')
    parser.add_argument(
        '--max-failed', type=float, default=0.2, help='largest share of rows that may fail'
    )


def _add_photos(sets: Any) -> None:
    parser = sets.add_parser(
        'photos',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='your own photos and tiles, from a table',
        description='Imports a CSV or Parquet table with GeoTIFF tiles and JPEG or PNG photos.\n'
        f'Columns known: {" ".join(FIELDS)}.\n'
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


def column_map(text: str, known: Iterable[str] = FIELDS) -> dict[str, str]:
    """`photo=image,lon=x` -> {'photo': 'image', 'lon': 'x'}."""
    pairs = [part.partition('=') for part in text.split(',') if part]
    for name, equals, column in pairs:
        if name not in known or not equals or not column:
            raise argparse.ArgumentTypeError(
                f'{name!r}: expected KNOWN=YOURS with KNOWN one of {", ".join(known)}'
            )
    return {name: column for name, _, column in pairs}


def names(text: str) -> tuple[str, ...]:
    """`a,b` -> ('a', 'b')."""
    return tuple(part.strip() for part in text.split(',') if part.strip())


def codes(text: str) -> tuple[int, ...]:
    """`50,190` -> (50, 190)."""
    try:
        return tuple(int(part) for part in text.split(',') if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r}: expected whole numbers') from None


def fractions(text: str) -> tuple[float, float, float]:
    """`0.8,0.1,0.1` -> shares of train, val and test, which must add up to 1."""
    try:
        train, val, test = (float(part) for part in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r}: expected three numbers') from None
    if min(train, val, test) < 0 or abs(train + val + test - 1) > 1e-6:
        raise argparse.ArgumentTypeError(f'{text!r}: expected shares that add up to 1')
    return train, val, test


def run_build(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data build NAME`."""
    builder = importlib.import_module(f'gair_jax.builders.{arguments.name}.builder')
    words = ('verb', 'action', 'name', 'run')
    print(builder.build(**{k: v for k, v in vars(arguments).items() if k not in words}))
    return 0


def run_list(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data list`."""
    from gair_jax.builders import listing

    print(listing.text(arguments.data_dir))
    return 0


def run_sample(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data sample NAME`."""
    from gair_jax.builders import sample

    rule = sample.Rule(
        raster=arguments.raster,
        label=arguments.label,
        above=arguments.urban_above,
        classes=arguments.urban_classes,
        rural=arguments.rural_classes,
    )
    made = sample.draw(
        name=arguments.name,
        variant=arguments.variant,
        out=arguments.out,
        rule=rule,
        data_dir=arguments.data_dir,
        split=arguments.split,
        share=arguments.urban_share,
        count=arguments.count,
        seed=arguments.seed,
    )
    print(made)
    return 0


def run_check(arguments: argparse.Namespace, rest: list[str]) -> int:
    """`gair data check NAME`."""
    from gair_jax.builders import catalogue

    if arguments.root:
        absent = catalogue.missing_files(arguments.root, arguments.name)
        print('\n'.join(absent) or f'{arguments.root}: every file of {arguments.name} is there.')
        return 1 if absent else 0
    found = catalogue.check(arguments.data_dir, arguments.name, arguments.variant)
    print(found)
    return 1 if found.findings else 0
