"""`gair train`."""

import argparse
import os
import sys
from typing import Any

from gair_jax import config_files
from gair_jax.verbs import training

EXAMPLES = f"""examples:
  gair train --config=configs/pretrain/quickstart.py --workdir=runs/quickstart
  gair train --config=configs/pretrain/gair_base.py:release --workdir=runs/base --config.batch=64
  python launch/local.py --processes 2 -- gair train --config=... --workdir=...

exit codes:
{training.EXIT_CODES}
  76 another process of the run was lost: run all again to go on"""


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    train = verbs.add_parser(
        'train',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='pre-train; resumes by itself',
        description='Pre-trains a model. A workdir that holds a checkpoint of the same run is '
        'resumed, on\nany number of devices and processes. Any setting is overridden by '
        '--config.SECTION.FIELD=VALUE;\ngair_jax/config.py explains each.\n\n'
        'Several processes, each told its place by flags, by the variables named below, or by '
        'SLURM,\nshare one run; all need the same workdir.',
        epilog=EXAMPLES,
    )
    train.add_argument('--config', required=True, help='config file, or file:preset')
    train.add_argument('--workdir', required=True, help='folder of checkpoints and metrics')
    train.add_argument(
        '--coordinator',
        default='',
        metavar='HOST:PORT',
        help='where process 0 is met (JAX_COORDINATOR_ADDRESS)',
    )
    train.add_argument(
        '--processes', type=int, default=0, metavar='N', help='their number (JAX_NUM_PROCESSES)'
    )
    train.add_argument(
        '--process', type=int, default=-1, metavar='I', help='number of this one (JAX_PROCESS_ID)'
    )
    train.add_argument(
        '--distributed', action='store_true', help='let JAX find the other processes (TPU pods)'
    )
    train.set_defaults(run=run, takes_overrides=True)


def run(arguments: argparse.Namespace, overrides: list[str]) -> int:
    """Trains, or watches over the process that does where there are several."""
    from gair_jax.train import processes

    config = config_files.load(arguments.config, overrides)
    launch = processes.found(
        arguments.coordinator, arguments.processes, arguments.process, arguments.distributed,
        os.environ,
    )  # fmt: skip
    if launch is None:
        return training.exit_code(lambda: _train(config, arguments.workdir))
    if not processes.is_child():
        return processes.watch([sys.executable, '-P', '-m', 'gair_jax.cli', *sys.argv[1:]])
    with processes.joined(launch) as outcome:
        outcome.code = training.exit_code(lambda: _train(config, arguments.workdir))
    return outcome.code


def _train(config: Any, workdir: str) -> None:
    from gair_jax.train import loop

    result = loop.train(config, workdir)
    if result.leads:
        print(f'{result.steps} steps done; checkpoints in {workdir}.')
