"""`gair transfer`."""

import argparse
import pathlib
from typing import Any

from gair_jax import config_files
from gair_jax.verbs import training

EXAMPLES = f"""examples:
  gair transfer --config=configs/transfer/linear.py --checkpoint=runs/quickstart --out=runs/probes
  gair transfer --config=configs/transfer/fusion.py --checkpoint=runs/quickstart --out=runs/all \\
    --config.data.variant=small --config.test_rows=0
  gair transfer --config=configs/transfer/nonlinear.py --checkpoint=runs/quickstart \\
    --out=runs/two_layers --table=runs/transfer.csv
  gair transfer --config=configs/transfer/few_labels.py --checkpoint=runs/quickstart --out=runs/few
  gair transfer --config=configs/transfer/full.py --checkpoint=runs/quickstart --out=runs/full

scores, each beside random parameters, the commonest class or the mean (guess), and what is true
at the nearest training place (nearest):
  classes   accuracy, macro_f1, weighted_f1, F1 of each class, minority_f1 of two classes
  numbers   R2, RMSE, MAE, of each target and their mean
  masks     mIoU, mF1, accuracy, iou_1 of two classes; IoU and F1 of each class
  --config.metric=macro_f1 (or another) is then the main one, in tables and pictures; intervals
  hold 95 %, drawn over tiles or with --config.block_km=25 over blocks of that side.

protocols, --config.protocols="('linear','nonlinear','frozen','full')":
  linear     ridge and logistic regression, solved to the end; val chooses the penalty
  nonlinear  two layers with a sigmoid, AdamW, mean of 3 seeds; val chooses rate and epoch
             (--config.nonlinear.epochs=50, .rates, .batch, .weight_decay, .seeds)
             of masks both are trained on each patch of the frozen encoder, by --config.fit
  frozen     of masks: UPerNet on the frozen encoder, scored on whole tiles
  full       encoders and head together, and masks (--config.fit.epochs=50, .rate, .batch,
             .encoder_rate, .crop, .channels, ...); kept under OUT/fits, and resumed there

joined features (sv+rs) also get what they gain over each side alone, paired on the same rows.

results.json and results.csv hold every score with its interval, scores.png shows them. Features
are kept under OUT/features by the bytes of the checkpoint: run again, linear probes take seconds.

exit codes:
{training.EXIT_CODES}
"""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    transfer = verbs.add_parser(
        'transfer',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='score encoders, frozen or fine-tuned, on the labelled tasks of a data set',
        description='Probes the encoders of a checkpoint, alone and joined, on the tasks of a\n'
        'prepared data set, or fine-tunes them, and decodes masks of tiles; beside the same\n'
        'encoders from random parameters and answers that look at no image. Settings:\n'
        'gair_jax/transfer/settings.py; each is overridden by --config.FIELD=VALUE.',
        epilog=EXAMPLES,
    )
    transfer.add_argument('--config', required=True, help='file of configs/transfer/')
    transfer.add_argument('--checkpoint', required=True, help='workdir, checkpoint or weights file')
    transfer.add_argument('--out', required=True, help='folder of results and features')
    transfer.add_argument(
        '--table',
        default='',
        metavar='FILE',
        help='CSV of many runs: gets this one, in place of an earlier run of the same',
    )
    transfer.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Probes, writes and prints."""
    from gair_jax.transfer.settings import TransferConfig

    settings = config_files.load_kind(TransferConfig, arguments.config, overrides)
    from gair_jax.report import transfer

    out = pathlib.Path(arguments.out)
    return training.exit_code(
        lambda: transfer.run(settings, arguments.checkpoint, out, arguments.table)
    )
