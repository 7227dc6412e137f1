"""`gair data build streetscapes` and `gair data status`."""

import argparse
import importlib.util
import os
import pathlib
import sys
from typing import Any

EXAMPLES = """examples:
  gair data build streetscapes --config=configs/data/my_city.py \\
    --config.places.table=photos.csv --out=builds/my_city
  gair data build streetscapes --config=configs/data/my_city.py \\
    --config.places.table=photos.csv --config.photos.folder=photos --stages plan,search,select \\
    --out=builds/my_city

Stages: plan (tables alone), search and select (Sentinel-2 scenes), fetch-scenes, fetch-photos,
pair, pack, check (which leaves an attribution table and a card beside the records). Each goes on
where it stopped; what failed in passing is tried again by the same command, and only then pair and
those after it run, unless --allow-failed. Photos of Mapillary need a token
of theirs in the environment variable MAPILLARY_TOKEN. Settings:
data/streetscapes/settings.py; each is overridden by --config.FIELD=VALUE."""


def add_build(sets: Any) -> None:
    """Adds the data set to those of `gair data build`."""
    parser = sets.add_parser(
        'streetscapes',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='street views and Sentinel-2 tiles from public sources, from a table of photos',
        description='Fetches street view photos and the Sentinel-2 tiles they stand in, pairs them '
        'and packs\nthem as a prepared data set, every record with its origin and licence.',
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add('--config', required=True, help='file of configs/data/')
    add('--out', required=True, help='folder of the build')
    add('--stages', default='', help='which, with , between; without it all')
    add('--worker', default='0/1', help='i/n: this is share i (from 0) of n, up to fetch-photos')
    add('--allow-failed', action='store_true', help='pair and pack without what failed')
    add(
        '--forecast',
        action='store_true',
        help='plan, say what the build costs at most and has cost so far, and stop',
    )
    add(
        '--beam', default='', metavar='OPTIONS',
        help="Beam makes the chunks of pack: --beam='--runner=... --name=value'",
    )  # fmt: skip
    parser.set_defaults(takes_overrides=True)


def add_status(actions: Any) -> None:
    """Adds `gair data status`."""
    status = actions.add_parser('status', help='where a streetscapes build stands')
    status.add_argument('out', help='folder of the build')
    status.set_defaults(run=run_status)


def run_build(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Runs the stages; 1 if something is left to try again or wrong, 75 if a signal stopped it."""
    from gair_jax import config_files

    _require_extra()
    from gair_jax.builders.streetscapes import build
    from gair_jax.builders.streetscapes.settings import StreetscapesConfig

    settings = config_files.load_kind(StreetscapesConfig, arguments.config, overrides)
    if arguments.beam:  # before days of fetching
        from gair_jax.builders import beam_chunks

        beam_chunks.check(arguments.beam)
    worker, workers = _share(arguments.worker)
    names = tuple(name.strip() for name in arguments.stages.split(',') if name.strip())
    stages = build.chosen(names, workers)
    job = build.Job(
        settings, pathlib.Path(arguments.out), pathlib.Path(arguments.data_dir), worker, workers,
        arguments.workers or os.cpu_count() or 1, arguments.allow_failed, arguments.beam,
    )  # fmt: skip
    if arguments.forecast:
        print(build.forecast(job))
        return 0
    failed = faults = 0
    for done in build.run(job, stages):
        print(f'{done.stage}: {done.said}', flush=True)
        failed, faults = failed + done.failed, faults + len(done.faults)
        for fault in done.faults:
            print(f'gair: {fault}', file=sys.stderr)
        if done.card:
            _draw(pathlib.Path(done.card))
        if done.stopped:
            print(f'gair: stopped by {done.stopped}; the same command goes on.', file=sys.stderr)
            return 75
    if failed and not arguments.allow_failed:
        print(
            f'gair: {failed} failed and may be had later: run the same command again, or go on '
            'without them by --allow-failed.',
            file=sys.stderr,
        )
        return 1
    return 1 if faults else 0


def _draw(card: pathlib.Path) -> None:
    """The card that a person reads, from the tables of `check`."""
    from gair_jax.report import dataset_card

    print(f'card: {dataset_card.write(card)}')


def run_status(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Prints where a build stands."""
    from gair_jax.builders.streetscapes import status

    print(status.text(pathlib.Path(arguments.out)))
    return 0


def _require_extra() -> None:
    """InputError where the packages are missing that ask catalogues and services."""
    from gair_jax.config import InputError

    for name in ('httpx', 'pystac_client'):
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"gair data build streetscapes needs {name}: pip install 'gair_jax[data]'."
            )


def _share(text: str) -> tuple[int, int]:
    """'0/4' -> (0, 4)."""
    from gair_jax.config import InputError

    first, slash, last = text.partition('/')
    if slash and first.isdigit() and last.isdigit() and int(first) < int(last):
        return int(first), int(last)
    raise InputError(f'--worker: expected i/n with i from 0 to n - 1, found {text!r}.')
