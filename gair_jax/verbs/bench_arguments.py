"""Arguments of each kind of `gair bench`; those named in `COMMON` are no sizes."""

import argparse
from typing import Any

LINKS = ('nvlink4', 'ib-ndr', 'tpu-v5e', 'tpu-v5p', 'tpu-v6e')
COMMON = ('verb', 'what', 'run', 'takes_overrides', 'rounds', 'peer', 'json')


def add(kinds: Any) -> None:
    """Adds all kinds to the sub-parsers `kinds`."""
    for add_kind in (_all, _train, _input, _loss, _compile, _nili, _embed, _pods):
        add_kind(kinds)


def positive(text: str) -> int:
    """A count of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'expected a whole number of at least 1, found {text!r}')
    return int(text)


def seconds(text: str) -> float:
    """A time above 0."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float('inf'):
        raise argparse.ArgumentTypeError(f'expected seconds above 0, found {text!r}')
    return found


def counts(text: str) -> tuple[int, ...]:
    """Counts with commas between them."""
    return tuple(positive(part) for part in text.split(','))


def _kind(
    kinds: Any, name: str, text: str, more: str, *, rounds: int = 5, peer: bool = True
) -> Any:
    """A sub-parser with the arguments that all share."""
    parser = kinds.add_parser(
        name,
        help=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=more,
        epilog=EXAMPLES[name],
    )
    parser.add_argument('--json', action='store_true', help='one JSON object as the last line')
    parser.set_defaults(rounds=rounds, peer='')
    if peer:
        parser.add_argument('--peer', default='', help='Python file of the peer, which is run')
    return parser


def _rounds(parser: Any, default: int = 5) -> None:
    parser.add_argument('--rounds', type=positive, default=default, help='timed calls of each side')


def _nili(kinds: Any) -> None:
    nili = _kind(
        kinds, 'nili', 'localized embeddings on a dense grid of points',
        'Reads patch grids at a dense grid of points.',
    )  # fmt: skip
    nili.add_argument('--batch', type=positive, default=4, help='patch grids a call')
    nili.add_argument('--queries', type=positive, default=96, help='points a side of each grid')
    _rounds(nili)


def _embed(kinds: Any) -> None:
    embed = _kind(
        kinds, 'embed', 'tiles, photos and places through ViT-B encoders',
        'Embeds tiles with one point in each, photos and places, by the program of gair embed.\n'
        'The peer is compared in float32, and timed in bfloat16 (autocast) beside.',
    )  # fmt: skip
    embed.add_argument('--batch', type=positive, default=32, help='triples a call')
    embed.add_argument(
        '--dtype',
        default='',
        choices=['float32', 'bfloat16'],
        help='ours: compute type (default: both are timed, and the faster one is reported)',
    )
    _rounds(embed)


def _loss(kinds: Any) -> None:
    loss = _kind(
        kinds, 'loss', 'the contrastive loss with gradients, in each of its forms',
        'INCL + SECL over batch and bank, of random unit rows. Plain holds all logits, chunked a\n'
        'block at a time, and in a ring devices also share the rows. All give the same numbers.\n'
        'Times plain and chunked in turn; with --compile-only nothing is run, and what each form\n'
        'would hold is read from its compiled program, the ring on virtual devices.',
        peer=False,
    )  # fmt: skip
    loss.add_argument('--n', type=positive, default=8192, help='rows of the batch')
    loss.add_argument('--dim', type=positive, default=768, help='width of the embeddings')
    loss.add_argument('--bank', type=positive, default=4096, help='past places')
    loss.add_argument(
        '--devices', type=positive, default=8, help='most devices of the ring (--compile-only)'
    )
    loss.add_argument('--compile-only', action='store_true', help='memory alone; nothing is run')
    _rounds(loss, 3)


def _compile(kinds: Any) -> None:
    parser = _kind(
        kinds, 'compile', 'the training step as compiled for a GPU that need not be here',
        'Compiles the step for an NVIDIA GPU, which takes the CUDA plug-in of JAX but no GPU, and\n'
        'reads from the program which kernels it starts, what they move and compute, and what it\n'
        'holds; then predicts its time from the ceilings of that GPU. Nothing is run.\n'
        'With --config, any setting is overridden by --config.SECTION.FIELD=VALUE.',
        peer=False, rounds=0,
    )  # fmt: skip
    parser.add_argument(
        '--target', default='h200', choices=['h200', 'h100', 'cpu'], help='compiled for'
    )
    parser.add_argument('--config', default='', help='config file (default: the paper, bfloat16)')
    parser.add_argument(
        '--batch', type=positive, default=0, help='triples (default: as configured)'
    )
    parser.add_argument(
        '--dtype', default='', choices=['float32', 'bfloat16'], help='compute type (the same)'
    )
    parser.set_defaults(takes_overrides=True)


def _input(kinds: Any) -> None:
    parser = _kind(
        kinds, 'input', 'batches from a prepared data set, without a model',
        'Reads batches as training does, and says how many triples come in a second, and where\n'
        'the time goes. Any setting is overridden by --config.SECTION.FIELD=VALUE.',
        peer=False,
    )  # fmt: skip
    parser.add_argument('--config', required=True, help='config file, or file:preset')
    parser.add_argument('--seconds', type=seconds, default=20.0, help='how long batches are read')
    parser.set_defaults(takes_overrides=True)


def _all(kinds: Any) -> None:
    parser = _kind(
        kinds, 'all', 'each part at a small size, and what bounds a run (the default)',
        'Runs train, loss, nili and embed, and input where --config names a data set, at small\n'
        'sizes one after the other: some minutes on a CPU. Any setting is overridden by\n'
        '--config.SECTION.FIELD=VALUE.',
    )  # fmt: skip
    parser.add_argument(
        '--config', default='', help="config file with a data set (default: the paper's model)"
    )
    _rounds(parser, 3)
    parser.set_defaults(takes_overrides=True)


def _train(kinds: Any) -> None:
    parser = _kind(
        kinds, 'train', 'the training step, and what bounds it',
        'Takes training steps and says how many triples go through in a second, what share of the\n'
        'device that uses, what memory is held, and whether input, computing, memory or\n'
        'communication is what bounds them. Any setting is overridden by\n'
        '--config.SECTION.FIELD=VALUE. With --peer the model is that of the peer, both start from\n'
        'the same weights and take turns.',
    )  # fmt: skip
    parser.add_argument('--config', default='', help="config file (default: the paper's model)")
    parser.add_argument(
        '--batch', type=positive, default=0, help="triples a step (default: the config's; CPU: 8)"
    )
    parser.add_argument(
        '--steps', type=positive, default=0, help='timed steps (default: 20; CPU: 6)'
    )
    parser.add_argument(
        '--data', default='random', choices=['random', 'config'],
        help='random batches, or those of the data set that the config names',
    )  # fmt: skip
    parser.set_defaults(takes_overrides=True)


def _pods(kinds: Any) -> None:
    parser = _kind(
        kinds, 'pods', 'how well a step would scale to many devices (predicted)',
        'Compiles the training step for so many virtual devices, reads from the program what they\n'
        'send each other, and predicts the efficiency by the speed of their links. Nothing is\n'
        'run. The time of one device is given, or follows from its FLOPs at a share of the data\n'
        'sheet. Any setting is overridden by --config.SECTION.FIELD=VALUE.',
        peer=False,
    )  # fmt: skip
    parser.add_argument('--config', default='', help="config file (default: the paper's model)")
    parser.add_argument(
        '--devices', type=counts, default=(8, 64, 256), help='numbers of devices: 8,64,256'
    )
    parser.add_argument('--batch', type=positive, default=256, help='triples on each device')
    parser.add_argument(
        '--step-seconds', type=seconds, default=0.0, help='of one device alone, as measured'
    )
    parser.add_argument(
        '--mfu', type=float, default=0.5, help='else: share of the data sheet that it reaches'
    )
    parser.add_argument(
        '--link', default='nvlink4', choices=LINKS, help='between devices (default: nvlink4)'
    )
    parser.set_defaults(takes_overrides=True)


EXAMPLES = {
    'all': 'examples:\n'
    '  gair bench\n'
    '  gair bench all --config=configs/pretrain/quickstart.py --json',
    'train': 'examples:\n'
    '  gair bench train\n'
    '  gair bench train --peer torch_gair.py --json\n'
    '  gair bench train --config=configs/pretrain/gair_base.py --data config '
    '--config.model.dtype=bfloat16',
    'input': 'examples:\n'
    '  gair bench input --config=configs/pretrain/gair_base.py\n'
    '  gair bench input --config=configs/pretrain/gair_base.py --config.data.threads=8 --json',
    'loss': 'examples:\n'
    '  gair bench loss\n'
    '  gair bench loss --n 32768 --bank 65536 --compile-only --json',
    'compile': 'examples:\n'
    '  gair bench compile --target h200\n'
    '  gair bench compile --batch 1024 --config=configs/pretrain/gair_base.py --json',
    'nili': 'example:\n  gair bench nili --peer torch_gair.py --json',
    'embed': 'example:\n  gair bench embed --batch 8 --peer torch_gair.py',
    'pods': 'examples:\n'
    '  gair bench pods --mfu 0.48\n'
    '  gair bench pods --link tpu-v5p --devices 64 --batch 64 --step-seconds 0.09',
}
