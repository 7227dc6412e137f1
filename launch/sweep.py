"""Runs the runs of a sweep file, here or as a SLURM array, and puts them side by side.

python launch/sweep.py --sweep=configs/sweeps/learning_rate.py --out=runs/learning_rate
"""

import argparse
import errno
import pathlib
import sys
from collections.abc import Sequence

from gair_jax.cli import MENDABLE
from gair_jax.config import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, or what else is asked for; returns the exit code."""
    known, overrides = _parser().parse_known_args(arguments)
    try:
        return _run(known, overrides)
    except InputError as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno not in (*MENDABLE, errno.EEXIST):
            raise
        return _refuse(f'{error.filename or "output"}: {error.strerror}')


def _refuse(message: str) -> int:
    print(f'sweep: {message.rstrip(".")}.', file=sys.stderr)
    return 2


def _run(known: argparse.Namespace, overrides: list[str]) -> int:
    from gair_jax.sweep import plan, pool, slurm, table

    if known.workers < 0:
        raise InputError(f'--workers: expected at least 1, found {known.workers}')
    gpus = [gpu for gpu in known.gpus.split(',') if gpu]
    if gpus and known.slurm is not None:
        raise InputError('--gpus: are of this machine; ask for those of SLURM in --slurm')
    made, out = plan.load(known.sweep, overrides), pathlib.Path(known.out)
    if known.table_only:
        table.write(made, out)
        return 0
    if known.dry_run:
        table.list_runs(made, out)
        return 0
    if known.slurm is not None:
        command = [sys.executable, str(pathlib.Path(__file__).resolve())]
        command += [f'--sweep={known.sweep}', f'--out={known.out}', *overrides]
        return slurm.submit(made, out, command, known.slurm, known.workers)
    places = pool.slots(known.workers, gpus)
    if known.index is not None:
        return pool.run_all([slurm.task(made, out, known.index)], made.sweep.config, out, places)
    plan.write(made, out)
    code = pool.run_all(made.runs, made.sweep.config, out, places)
    table.write(made, out)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='launch/sweep.py',
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Runs the runs of a sweep file: gair train, each with a workdir OUT/NAME.\n'
        'Finished runs are passed over and stopped ones resumed, so the same command goes on.\n'
        'Ends with OUT/sweep.csv, OUT/sweep.png and a table, best run first.\n'
        'Further --config.SECTION.FIELD=VALUE hold for all runs.',
        epilog='examples:\n'
        '  python launch/sweep.py --sweep=configs/sweeps/learning_rate.py --out=runs/rates '
        '--workers 2\n'
        '  python launch/sweep.py --sweep=configs/sweeps/temperature.py --out=runs/temperature \\\n'
        "      --slurm='--partition=gpu --gpus=1 --time=08:00:00' --workers 16\n"
        'exit codes: 0 all done, 1 a run failed, 2 bad input, 75 stopped by a signal',
    )
    parser.add_argument('--sweep', required=True, help='sweep file; configs/sweeps has some')
    parser.add_argument('--out', required=True, help='folder of the runs, their logs and the table')
    parser.add_argument(
        '--workers',
        type=int,
        default=0,
        help='most runs at a time (1, or one a GPU; no limit with --slurm)',
    )
    parser.add_argument(
        '--gpus',
        default='',
        help='NVIDIA GPUs to use here, such as 0,1,2,3; a run has one',
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        '--slurm', metavar='OPTIONS', help="submit a SLURM array with these options of sbatch ('')"
    )
    instead.add_argument('--index', type=int, help='run this one alone, as a task of an array does')
    instead.add_argument('--dry-run', action='store_true', help='list the runs and start none')
    instead.add_argument('--table-only', action='store_true', help='collect what is there so far')
    return parser


if __name__ == '__main__':
    sys.exit(main())
