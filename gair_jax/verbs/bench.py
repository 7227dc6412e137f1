"""`gair bench`."""

import argparse
import json
from typing import Any


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    bench = verbs.add_parser(
        'bench',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='how fast this machine runs the model, alone or beside a PyTorch peer',
        description='Times a part of the model on this machine: median seconds of a call, after a\n'
        'warm-up, and what the compiler says about it. With --peer, a file of the same work in\n'
        'PyTorch is run in turn with ours, on the same weights and inputs.',
        epilog='example:\n  gair bench nili --peer torch_gair.py --json',
    )
    kinds = bench.add_subparsers(dest='what', required=True, metavar='WHAT')
    nili = kinds.add_parser('nili', help='localized embeddings on a dense grid of points')
    nili.add_argument('--batch', type=positive, default=4, help='patch grids a call')
    nili.add_argument('--queries', type=positive, default=96, help='points a side of each grid')
    embed = kinds.add_parser('embed', help='tiles, photos and places through ViT-B encoders')
    embed.add_argument('--batch', type=positive, default=32, help='triples a call')
    embed.add_argument(
        '--chunk', type=positive, default=0, help='ours: triples at a time (default: by device)'
    )
    embed.add_argument(
        '--dtype', default='float32', choices=['float32', 'bfloat16'], help='ours: compute type'
    )
    for parser in kinds.choices.values():
        parser.add_argument('--rounds', type=positive, default=5, help='timed calls of each side')
        parser.add_argument('--peer', default='', help='Python file of the peer, which is run')
        parser.add_argument('--json', action='store_true', help='one JSON object as the last line')
        parser.set_defaults(run=run)


def positive(text: str) -> int:
    """A count of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 1, found {text!r}')
    return int(text)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Times and prints."""
    import importlib

    module = importlib.import_module(f'gair_jax.bench.{arguments.what}')
    common = ('verb', 'what', 'run', 'rounds', 'peer', 'json')
    sizes = module.Sizes(**{k: v for k, v in vars(arguments).items() if k not in common})
    found = module.bench(sizes, arguments.rounds, arguments.peer)
    print(json.dumps(found) if arguments.json else module.table(found))
    return 0
