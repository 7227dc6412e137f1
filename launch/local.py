"""Runs one command as several processes of one run on this machine, and looks after them.

    python launch/local.py --processes 2 --devices-per-process 4 -- \
        gair train --config=configs/pretrain/gair_base.py --workdir=runs/base

Each process learns its place from JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, as
under every other launcher; any command that reads them can be run. docs/launch.md says the rest.
"""

import argparse
import os
import pathlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence

import side_by_side  # beside this script

FINAL = (0, 2, 3)  # done, bad input, a step that is not finite: another try would end alike
RANKED = (3, 2, 75, 76)  # which of several exit codes stands for the run; else the largest
_DEVICE_COUNT = re.compile(r'--xla_force_host_platform_device_count=\S*')


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command until it is done or may not be started again; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    command = options.command[options.command[:1] == ['--'] :]
    if not command:
        parser.error('after -- a command is expected, such as gair train, found none.')
    try:
        shares = devices(options.processes, options.devices_per_process, os.environ)
        return _run(options, command, shares)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f'{command[0]}: {error.strerror}.')


def _run(options: argparse.Namespace, command: list[str], shares: list[dict[str, str]]) -> int:
    came = side_by_side.noted_signals()
    left = options.restarts
    while True:
        codes = side_by_side.run(command, shares, came, options.grace, options.quiet_others)
        code = verdict(codes)
        if code in FINAL or came or not left:
            return code
        left -= 1
        what = f'the run ended with {code} and is started again; {left} restarts are left'
        print(f'local.py: {what}.', file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='local.py',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Runs one command as several processes of one run on this machine.',
        epilog='example:\n  python launch/local.py --processes 2 --devices-per-process 4 -- \\\n'
        '      gair train --config=configs/pretrain/quickstart.py --workdir=runs/two',
    )
    parser.add_argument('--processes', type=_from(1), required=True, metavar='N')
    parser.add_argument(
        '--devices-per-process', type=_from(1), default=0, metavar='M',
        help='GPUs of each (default: all that are here, shared evenly), or virtual CPU devices',
    )  # fmt: skip
    parser.add_argument(
        '--restarts', type=_from(0), default=0, metavar='R',
        help='start again up to R times after any end but 0, 2 and 3 (default: 0)',
    )  # fmt: skip
    parser.add_argument(
        '--grace', type=_from(1), default=60, metavar='SECONDS',
        help='once a process has failed, the others have this long to stop by themselves, and as '
        'long again after SIGTERM (default: 60)',
    )  # fmt: skip
    parser.add_argument(
        '--quiet-others', action='store_true',
        help='process 0 has the terminal to itself; of the others only errors are shown',
    )  # fmt: skip
    parser.add_argument('command', nargs=argparse.REMAINDER, help='after --: what to run')
    return parser


def _from(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f'expected a number from {least} up, found {text!r}.')
        return int(text)

    return number


def devices(processes: int, each: int, environ: Mapping[str, str]) -> list[dict[str, str]]:
    """The variables that give every process its own devices.

    Args:
      processes: their number.
      each: devices of one process; 0 shares all GPUs evenly, or leaves CPU devices as they are.
      environ: what the user has set; it is added to, never replaced.

    Raises:
      ValueError: there are too few GPUs, or they cannot be shared evenly.
    """
    gpus = visible_gpus(environ)
    if gpus:
        return _gpu_shares(processes, each, gpus, environ)
    if not each:
        return [{}] * processes
    platform = environ.get('JAX_PLATFORMS', '') or 'cpu'
    if platform != 'cpu':
        raise ValueError(f'--devices-per-process: expected CPUs or GPUs, found {platform}.')
    others = _DEVICE_COUNT.sub('', environ.get('XLA_FLAGS', '')).split()
    flags = ' '.join([*others, f'--xla_force_host_platform_device_count={each}'])
    return [{'JAX_PLATFORMS': platform, 'XLA_FLAGS': flags}] * processes


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """The GPUs that processes may use, as CUDA_VISIBLE_DEVICES names them; none on CPUs."""
    platforms = environ.get('JAX_PLATFORMS', '') or 'cuda'
    if not {'cuda', 'gpu'} & set(platforms.split(',')):
        return []
    if 'CUDA_VISIBLE_DEVICES' in environ:
        return [name for name in environ['CUDA_VISIBLE_DEVICES'].split(',') if name]
    return [str(n) for n, _ in enumerate(pathlib.Path('/dev').glob('nvidia[0-9]*'))]


def _gpu_shares(
    processes: int, each: int, gpus: list[str], environ: Mapping[str, str]
) -> list[dict[str, str]]:
    share = each or len(gpus) // processes
    if not share or processes * share > len(gpus) or (not each and len(gpus) % processes):
        raise ValueError(
            f'--processes: expected an even share of the {len(gpus)} GPUs here, found {processes} '
            f'processes with {each or "all"}.'
        )
    defaults = {
        'XLA_PYTHON_CLIENT_MEM_FRACTION': '0.92',
        'JAX_COMPILATION_CACHE_DIR': os.path.expanduser('~/.cache/gair_jax/compiled'),
    }
    added = {name: environ.get(name, value) for name, value in defaults.items()}
    starts = range(0, processes * share, share)
    return [{**added, 'CUDA_VISIBLE_DEVICES': ','.join(gpus[s : s + share])} for s in starts]


def verdict(codes: Sequence[int]) -> int:
    """The exit code that stands for the run: what forbids another try comes first."""
    return next((code for code in RANKED if code in codes), max(codes))


if __name__ == '__main__':
    sys.exit(main())
