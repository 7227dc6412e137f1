"""`gair bench`."""

import argparse
import json
from typing import Any

from gair_jax.verbs import bench_arguments

EXAMPLES = """examples:
  gair bench
  gair bench train --peer torch_gair.py --json
  gair bench input --config=configs/pretrain/gair_base.py

Without WHAT all parts are run at small sizes. gair bench WHAT --help explains each."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    bench = verbs.add_parser(
        'bench',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='how fast this machine runs the model, and what bounds it',
        description='Times a part of the work on this machine: median seconds of a call, after a\n'
        'warm-up, and what the compiler says about it. With --peer, a file of the same work in\n'
        'PyTorch is run in turn with ours, on the same weights and inputs.',
        epilog=EXAMPLES,
    )
    kinds = bench.add_subparsers(dest='what', metavar='WHAT')
    bench_arguments.add(kinds)
    for parser in (bench, *kinds.choices.values()):
        parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Times and prints."""
    import importlib

    given = vars(arguments)
    if arguments.what is None:
        given |= {'what': 'all', 'rounds': 3, 'peer': '', 'json': False}
    module = importlib.import_module(f'gair_jax.bench.{arguments.what}')
    sizes = {k: v for k, v in given.items() if k not in bench_arguments.COMMON}
    if given.get('takes_overrides'):
        sizes['overrides'] = tuple(rest)
    found = module.bench(module.Sizes(**sizes), arguments.rounds, arguments.peer)
    print(json.dumps(found) if arguments.json else module.table(found))
    return 0
