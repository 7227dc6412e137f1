"""`gair train`."""

import argparse
import sys
from typing import Any

from gair_jax import config_files


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    train = verbs.add_parser(
        'train',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='pre-train; resumes by itself',
        description='Pre-trains a model. A workdir that holds a checkpoint of the same run is '
        'resumed.\nAny setting is overridden by --config.SECTION.FIELD=VALUE; gair_jax/config.py '
        'explains each.',
        epilog='examples:\n'
        '  gair train --config=configs/pretrain/quickstart.py --workdir=runs/quickstart\n'
        '  gair train --config=configs/pretrain/gair_base.py:release --workdir=runs/base '
        '--config.batch=64',
    )
    train.add_argument('--config', required=True, help='config file, or file:preset')
    train.add_argument('--workdir', required=True, help='folder of checkpoints and metrics')
    train.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Trains; 3 after a non-finite step, 75 after a signal."""
    config = config_files.load(arguments.config, overrides)
    from gair_jax.train import loop

    try:
        result = loop.train(config, arguments.workdir)
    except loop.NonFiniteStepError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 3
    except loop.StoppedError as error:
        print(f'gair: {error}', file=sys.stderr)
        return 75
    print(f'{result.steps} steps done; checkpoints in {arguments.workdir}.')
    return 0
