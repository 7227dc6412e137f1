"""`gair convert`."""

import argparse
import pathlib
from typing import Any

SOURCES = (
    'gair_release', 'gair_history', 'croma', 'taxabind', 'satclip', 'torchspatial', 'geoclip',
    'vit_imagenet', 'vit_mae', 'vit_mocov3',
)  # fmt: skip

EXAMPLES = (
    'examples:\n'
    '  gair convert gair.pth checkpoints/gair --case gair_forward.npz\n'
    '  gair convert CROMA_base.pt checkpoints/croma --bands 10   (then --config.init.rs=...)\n'
    '  gair convert location_encoder_weights.pth checkpoints/geoclip \\\n'
    '      --image-head image_encoder_mlp_weights.pth\n'
    '  gair convert satclip-vit16-l40.ckpt checkpoints/satclip\n'
    '  gair convert runs/base mine.safetensors\n'
    'the end-to-end check with the official weights, on the three triples of its repository:\n'
    '  gair convert gair.pth checkpoints/gair --check-previews gair_examples'
)


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    parser = verbs.add_parser(
        'convert',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='weights of GAIR, CROMA, location encoders and ViTs to ours, and back',
        description='Converts weights. A TARGET ending in .safetensors or .pth is written under\n'
        "the source's own names, anything else becomes a checkpoint folder of ours. Nothing is\n"
        'guessed: a missing, extra or misshaped entry is named. A converted checkpoint keeps the\n'
        'entries that it has no use for, so that the way back gives every one bit for bit.\n'
        'Exit status 1: a parity case missed its tolerance, or the previews do not agree.',
        epilog=EXAMPLES,
    )
    option = parser.add_argument
    option(
        'source', metavar='SOURCE', help='weights, hf://owner/name/file, or a checkpoint of ours'
    )
    option('target', metavar='TARGET', help='new checkpoint folder, or .safetensors or .pth')
    option('--source', dest='layout', default='', choices=SOURCES, help='layout (default: by keys)')
    option('--revision', default='', help='commit of the hub, for hf://')
    option('--preset', default='', choices=('release', 'history'), help='of GAIR: how it is run')
    option(
        '--bands', type=int, default=0, choices=(10, 12), help='of CROMA: 10 keeps those of ours'
    )
    option('--reinit-patch', action='store_true', help='of CROMA: draw the patch embedding anew')
    option('--image-head', default='', metavar='FILE', help='of GeoCLIP: its image head')
    option(
        '--settings', default='', metavar='FILE.json',
        help='of SatCLIP and TorchSpatial: hyper-parameters that the file does not hold',
    )  # fmt: skip
    option(
        '--case', action='append', default=[], metavar='FILE.npz',
        help='a parity case (inputs and outputs of the reference) to compare with; repeatable',
    )  # fmt: skip
    option(
        '--check-previews', default='', metavar='DIR',
        help='folder of the three published triples: compares their nine cosines',
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Converts, prints, and compares what was written; 1 where something does not agree."""
    from rich.console import Console

    from gair_jax.config import InputError
    from gair_jax.convert import files
    from gair_jax.serve import parity

    target = pathlib.Path(arguments.target)
    if target.exists():
        raise InputError(f'{target}: expected a new name, found this there.')
    cases = [parity.read_case(path) for path in arguments.case]
    with Console(stderr=True).status('converting'):
        if files.is_state_file(target):
            checked = _back(arguments)
        else:
            checked = _forward(arguments)
    return _check(checked, cases, arguments.check_previews)


def _forward(arguments: argparse.Namespace) -> str:
    """Writes a checkpoint; returns its path."""
    from gair_jax.report import conversion as report
    from gair_jax.serve import conversion, weights
    from gair_jax.train import checkpoint

    path = arguments.source
    local = weights.fetch(path, arguments.revision) if path.startswith(weights.HUB) else path
    options = conversion.Options(
        source=arguments.layout,
        preset=arguments.preset,
        bands=arguments.bands,
        reinit_patch=arguments.reinit_patch,
        image_head=arguments.image_head,
        settings=arguments.settings,
    )
    made = conversion.from_file(local, options)
    checkpoint.write(
        arguments.target,
        made.config,
        made.params,
        made.contracts,
        carried=made.carried,
        origin=made.origin(path),
    )
    report.conversion(made, arguments.target)
    return arguments.target


def _back(arguments: argparse.Namespace) -> str:
    """Writes a state dict; returns the path of the checkpoint that it is of."""
    from gair_jax.convert import files
    from gair_jax.report import conversion as report
    from gair_jax.serve import conversion

    made = conversion.to_state(arguments.source, arguments.layout)
    files.write(arguments.target, made.file)
    report.restoration(made, arguments.target)
    return arguments.source


def _check(path: str, cases: list[Any], triples: str) -> int:
    """Compares a checkpoint with cases and with the published cosines; 1 where one disagrees."""
    from gair_jax.report import conversion as report
    from gair_jax.serve import previews, replay, weights
    from gair_jax.train import checkpoint

    if not cases and not triples:
        return 0
    read, agrees = weights.read(path), True
    for case in cases:
        compared = replay.report(read, case)
        report.parity(case, compared)
        agrees &= all(each.ok for each in compared)
    if triples:
        made = previews.previews(read, checkpoint.carried(path), triples)
        report.previews(made)
        agrees &= any(each.official for each in made)
    return 0 if agrees else 1
