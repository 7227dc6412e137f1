"""python -m tests.parity DIR [DIR ...] [--data DIR] [--kinds]

Runs every case (*.npz) of the folders and prints a line each: name, kind, the output that is worst
against its tolerance, and ok, MISS or skip. Exit status 0 when every case is ok, otherwise 1.
"""

import argparse
import collections
import pathlib
import sys

import jax

from tests.parity import runner


def main(arguments: list[str]) -> int:
    """Parses, runs, prints; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m tests.parity')
    parser.add_argument('folders', metavar='DIR', nargs='*', type=pathlib.Path)
    parser.add_argument('--data', type=pathlib.Path, default=pathlib.Path('../shared/data'))
    parser.add_argument('--kinds', action='store_true', help='list the kinds that are understood')
    options = parser.parse_args(arguments)
    if options.kinds:
        print('\n'.join(sorted(runner.KINDS)))
        return 0
    cases = {folder: sorted(folder.glob('*.npz')) for folder in options.folders}
    if not cases or not all(cases.values()):
        print('no case (*.npz) in', ', '.join(str(f) for f in cases if not cases[f]) or 'no folder')
        return 1
    paths = [path for folder in cases for path in cases[folder]]
    jax.config.update('jax_default_matmul_precision', 'highest')
    counts: collections.Counter[str] = collections.Counter()
    for path in paths:
        result = runner.run(path, runner.Data(options.data))
        counts[result.verdict] += 1
        print(result.line(), flush=True)
    print(f'{len(paths)} cases: ' + ', '.join(f'{n} {verdict}' for verdict, n in counts.items()))
    return 0 if counts['ok'] == len(paths) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
