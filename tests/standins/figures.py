"""The builder's figures against its stand-ins: what is measured, and what it must be.

    python -m tests.standins.figures [--only windows,speed] [--json FILE]

About five minutes on two idle cores; where they are busy, no figure of time counts. Linux alone.
The exit code is 1 if a figure fails.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

from tests.standins import (
    figures_builds,
    figures_million,
    figures_photos,
    figures_scenes,
)
from tests.standins.figure import Sizes, table

CHECKS = {
    'windows': figures_scenes.windows,
    'cold': figures_scenes.cold,
    'once': figures_scenes.once,
    'speed': figures_photos.speed,
    'below': figures_photos.below,
    'above': figures_photos.above,
    'same': figures_builds.same,
    'scenes-memory': figures_scenes.memory,
    'photos-memory': figures_photos.memory,
    'pack-memory': figures_builds.memory,
    'million': figures_million.million,
}
ELSEWHERE = (
    'Held by tests alone: kill -9 and rerun (test_kills.py, test_photos_resume.py), other orders '
    'of keys\n(test_workers.py), boxes of the example tiles (test_layouts.py).'
)


def measured(names, sizes, folder):
    """Figures of the named checks, in the order of CHECKS, each as soon as it is known."""
    for name, check in CHECKS.items():
        if name in names:
            where = folder / name
            where.mkdir()
            for figure in check(where, sizes):
                print(f'{name}: {figure.check}: {figure.value:.4g}', file=sys.stderr, flush=True)
                yield figure


def main(arguments):
    """Measures, prints the table, and gives the exit code."""
    parser = argparse.ArgumentParser(prog='python -m tests.standins.figures')
    parser.add_argument('--only', default=','.join(CHECKS), help='some of them, with , between')
    parser.add_argument('--json', default='', help='file that is written too')
    options = parser.parse_args(arguments)
    names = options.only.split(',')
    if unknown := [name for name in names if name not in CHECKS]:
        parser.error(f'--only: expected {", ".join(CHECKS)}, found {unknown[0]!r}')
    start, load = time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix='gair-figures-') as folder:
        found = list(measured(names, Sizes(), pathlib.Path(folder)))
    seconds = time.perf_counter() - start
    print(table(found))
    print(f'\n{seconds:.0f} s; load before: {load:.1f} on {os.cpu_count()} cores. {ELSEWHERE}')
    if options.json:
        about = {'load_before': load, 'cores': os.cpu_count(), 'seconds': seconds}
        text = json.dumps({**about, 'figures': [one.as_json() for one in found]}, indent=1)
        pathlib.Path(options.json).write_text(text + '\n', encoding='utf-8')
    return int(any(figure.verdict == 'FAIL' for figure in found))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
