"""`gair first-look`."""

import argparse
import pathlib
from typing import Any


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    look = verbs.add_parser(
        'first-look',
        formatter_class=argparse.RawDescriptionHelpFormatter,
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


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Looks, writes and prints."""
    from gair_jax.report import first_look

    first_look.run(
        pathlib.Path(arguments.checkpoint),
        pathlib.Path(arguments.out or arguments.checkpoint),
        data_dir=arguments.data_dir,
        seed=arguments.seed,
    )
    return 0
