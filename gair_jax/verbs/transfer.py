"""`gair transfer`."""

import argparse
import pathlib
from typing import Any

from gair_jax import config_files

EXAMPLES = """examples:
  gair transfer --config=configs/transfer/linear.py --checkpoint=runs/quickstart --out=runs/probes
  gair transfer --config=configs/transfer/fusion.py --checkpoint=runs/quickstart --out=runs/all \\
    --config.data.variant=small --config.test_rows=0
  gair transfer --config=configs/transfer/few_labels.py --checkpoint=runs/quickstart --out=runs/few

results.json and results.csv hold every score with its interval, scores.png shows them. Features
are kept under OUT/features by the bytes of the checkpoint: run again, probes take seconds."""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    transfer = verbs.add_parser(
        'transfer',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='score frozen encoders on the labelled tasks of a data set',
        description='Probes the encoders of a checkpoint, alone and joined, on every task of a\n'
        'prepared data set that labels points, beside the same encoders with random parameters\n'
        'and a guess. Settings: gair_jax/transfer/settings.py; each is overridden by\n'
        '--config.FIELD=VALUE.',
        epilog=EXAMPLES,
    )
    transfer.add_argument('--config', required=True, help='file of configs/transfer/')
    transfer.add_argument('--checkpoint', required=True, help='workdir, checkpoint or weights file')
    transfer.add_argument('--out', required=True, help='folder of results and features')
    transfer.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Probes, writes and prints."""
    from gair_jax.transfer.settings import TransferConfig

    settings = config_files.load_kind(TransferConfig, arguments.config, overrides)
    from gair_jax.report import transfer

    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    transfer.run(settings, arguments.checkpoint, out)
    return 0
