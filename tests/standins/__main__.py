"""Stand-ins by hand: a catalogue and a photo service of a made-up world, until Ctrl-C.

python -m tests.standins --port 8765 --cities 12 --out runs/tour
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys
import threading

from tests.standins import catalogue, photo_api, tour

EPILOG = """Everything that is served is made up (synthetic), but the places of the cities.

The photos to ask for are written to DIR/photos.csv, and the commands that build a set of them and
train on it are printed, for another terminal. From 10 cities on some go to val and test; with 12
`gair first-look` has two cities to look at that were never trained on.

examples:
  python -m tests.standins --port 8765 --out runs/tour
  python -m tests.standins --port 0 --photos 20 --faults --out runs/tour     any two free ports"""
# After \\ the shell goes on; each is one command.
COMMANDS = """
MAPILLARY_TOKEN={token} gair data build streetscapes --config=configs/data/my_city.py \\
  --config.variant=tour --config.synthetic=True --config.places.table={table} \\
  --config.scenes.url={scenes} --config.photos.mapillary_url={photos} \\
  --config.photos.rate=500 --out={build}

gair train --config=configs/pretrain/streetscapes.py:tour --workdir={run}
"""
# A 503 in so many answers, where there are faults.
FAIL_EVERY = 50


def parser():
    made = argparse.ArgumentParser(
        prog='python -m tests.standins',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Serves Sentinel-2 scenes and street view photos of a made-up world on '
        'loopback, as a\ncatalogue (STAC) and the API of Mapillary do, until Ctrl-C.',
        epilog=EPILOG,
    )
    most = len(tour.CITIES)
    add = made.add_argument
    add(
        '--port',
        type=_within(0, 65534),
        default=8765,
        help='of the catalogue; photos: the next; 0: any',
    )
    add('--cities', type=_within(1, most), default=3, help=f'1 to {most} (default: 3)')
    add('--photos', type=_within(1, 10_000), default=60, help='of each city (default: 60)')
    add('--dates', type=_within(1, tour.MONTHS), default=4, help='of each city (default: 4)')
    add('--faults', action='store_true', help='some photos are gone, some answers fail once')
    add('--out', required=True, metavar='DIR', help='folder that photos.csv is written to')
    return made


def _within(low, high):
    def number(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f'expected {low} to {high}, found {text!r}.')
        return int(text)

    return number


def write(path, table):
    """Writes a CSV under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part')
    table.to_csv(part, index=False)
    os.replace(part, path)


def serve(arguments, stack):
    """Starts both services, and returns what a person is told."""
    table, found = tour.stands(arguments.cities, arguments.photos)
    path = pathlib.Path(arguments.out) / 'photos.csv'
    ports = (arguments.port, arguments.port + 1 if arguments.port else 0)
    scenes = tour.scenes(arguments.cities, arguments.dates)
    fails = FAIL_EVERY if arguments.faults else 0
    store = stack.enter_context(catalogue.serve(scenes, port=ports[0], fail_every=fails))
    api = tour.api(found, faults=arguments.faults)
    photos = stack.enter_context(photo_api.serve(api, port=ports[1]))
    write(path, table)
    folder = {'table': path, 'build': path.parent / 'build', 'run': path.parent / 'run'}
    commands = COMMANDS.format(scenes=store.url, photos=photos.url, token=tour.TOKEN, **folder)
    return (
        f'{len(table)} photos and {len(scenes)} scenes of {arguments.cities} cities, all made up '
        f'(synthetic). In another terminal, in the same folder:\n{commands}\nServing until Ctrl-C.'
    )


def main(given=None):
    """Serves; 2 if a port is taken or a file cannot be written."""
    arguments = parser().parse_args(given)
    # Also where a shell has started this in the background, which is deaf to Ctrl-C otherwise.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as stack:
            print(serve(arguments, stack), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print('Stopped.')
        return 0
    except OSError as error:
        what = error.filename or f'ports {arguments.port} and {arguments.port + 1}'
        print(f'standins: {what}: {error.strerror}.', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
