"""`gair doctor`."""

import argparse
from typing import Any

from gair_jax.verbs.data import column_map


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    doctor = verbs.add_parser(
        'doctor',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='what is wrong with a tile, photo, table, data set, checkpoint or config',
        description='Looks at each file or folder and says in one sentence each what is wrong or\n'
        'suspicious, or that it is fine. What kind of file it is, its content tells.\n'
        'Exit code: 0 all fine, 1 something suspicious, 2 something unusable.\n'
        'A config file is run, as `gair train` runs it; nothing else is.',
        epilog='examples:\n'
        '  gair doctor tiles/*.tif photos/*.jpg\n'
        '  gair doctor places.csv --root files --columns photo=image,lon=x,lat=y\n'
        '  gair doctor scene.tif --checkpoint=runs/gair_base',
    )
    doctor.add_argument('files', nargs='+', metavar='FILE', help='file or folder')
    against = doctor.add_mutually_exclusive_group()
    against.add_argument('--checkpoint', default='', help='the tiles and photos are meant for it')
    against.add_argument('--sensor', default='', help='sensor contract that tiles are meant for')
    doctor.add_argument('--data-dir', default='', help='prepared data of configs (default: theirs)')
    doctor.add_argument('--root', default='', help='folder of the files that a table names')
    doctor.add_argument(
        '--columns', default={}, type=column_map, help='KNOWN=YOURS,... where the names differ'
    )
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Examines and prints; the exit code is the worst finding's."""
    from rich.console import Console
    from rich.progress import Progress

    from gair_jax.serve import doctor

    expected = doctor.expected_by(arguments.checkpoint, arguments.sensor)._replace(
        data_dir=arguments.data_dir,
        root=arguments.root,
        columns=arguments.columns,
        check_data_set=_check_data_set,
    )
    worst = 0
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for path in bar.track(arguments.files, description='doctor'):
            for finding in doctor.examine(path, expected):
                worst = max(worst, doctor.LEVELS.index(finding.level))
                print(finding.text)
    return worst


def _check_data_set(*which: Any) -> Any:
    """What `gair data check` does; TFDS is imported only where a data set is met."""
    from gair_jax.builders import catalogue

    return catalogue.check(*which)
