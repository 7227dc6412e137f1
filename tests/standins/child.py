"""A call in a process of its own: what it took, and the most memory that it held.

Memory is VmHWM of Linux. `ru_maxrss` would not do: it begins with what the parent held when the
process was made.
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = 'MLY|secret|client'


class Ran(NamedTuple):
    """Wall-clock and CPU seconds of the call alone, most bytes in memory, what it returned."""

    seconds: float
    cpu: float
    peak: int
    answer: Any


def run(call, *arguments):
    """Calls a function of a module in a process of its own; arguments and answer are JSON."""
    name = f'{call.__module__}:{call.__name__}'
    line = [sys.executable, '-m', 'tests.standins.child', name, json.dumps(arguments)]
    environment = {**os.environ, 'MAPILLARY_TOKEN': TOKEN}
    done = subprocess.run(line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f'{name} ended with {done.returncode}')
    return Ran(*json.loads(done.stdout.splitlines()[-1]))


def peak():
    """Most bytes that this process has held so far."""
    lines = pathlib.Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM:')) * 1024


def _main(name, arguments):
    module, _, function = name.partition(':')
    call = getattr(importlib.import_module(module), function)
    start, cpu_start = time.perf_counter(), time.process_time()
    answer = call(*json.loads(arguments))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    print(json.dumps([seconds, cpu, peak(), answer]))


if __name__ == '__main__':
    _main(*sys.argv[1:])
