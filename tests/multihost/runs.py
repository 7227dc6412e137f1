"""`gair train` as several processes on this machine, for the tests of this folder."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

CONFIG = """
import pathlib
from tests.train.tiny import tiny_config

def get_config():
    config = tiny_config(pathlib.Path({folder!r}), {name!r}, {variant!r})
    config.batch, config.steps = 8, 40
    config.checkpoint.every, config.eval.every = 5, 20
    return config
"""
SECONDS = 240  # the longest that anything here may take


def write_config(path, toy_set):
    folder, name, variant = toy_set
    path.write_text(CONFIG.format(folder=str(folder), name=name, variant=variant))
    return path


class Run:
    """Processes of one run, `devices` each; killed when left."""

    def __init__(self, config, workdir, *, processes=2, devices=2, overrides=()):
        self.workdir = pathlib.Path(workdir)
        port = free_port()
        self.logs = [self.workdir.parent / f'{self.workdir.name}-{i}.log' for i in range(processes)]
        command = [sys.executable, '-m', 'gair_jax.cli', 'train', f'--config={config}']
        command += [f'--workdir={workdir}', *overrides]
        self.processes = [
            started(command, environment(devices, port, processes, i), log)
            for i, log in enumerate(self.logs)
        ]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in self.processes:
            self.kill(process)

    def kill(self, process, number=signal.SIGKILL):
        """SIGKILL to a process and the child that works for it; other signals to the process."""
        try:
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        except ProcessLookupError:
            return
        if number == signal.SIGKILL:
            process.wait()

    def wait_for_step(self, step):
        """Until the metrics show that `step` was taken."""
        end = time.monotonic() + SECONDS
        while last_step(self.workdir) < step:
            assert all(p.poll() is None for p in self.processes), self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.02)

    def codes(self):
        """Exit codes of all processes, once they have ended."""
        return [process.wait(timeout=SECONDS) for process in self.processes]

    def said(self):
        return '\n'.join(log.read_text()[-3000:] for log in self.logs)


def started(command, env, log):
    with log.open('w') as file:
        return subprocess.Popen(
            command, env=env, stderr=subprocess.STDOUT, stdout=file, start_new_session=True
        )


def environment(devices, port, processes, index):
    """Variables of one process, as the launchers set them."""
    env = dict(os.environ)
    env['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={devices}'
    env['PYTHONPATH'] = str(pathlib.Path(__file__).parents[2])
    if processes > 1:
        env |= {
            'JAX_COORDINATOR_ADDRESS': f'localhost:{port}',
            'JAX_NUM_PROCESSES': str(processes),
            'JAX_PROCESS_ID': str(index),
        }
    return env


def exit_codes_of_two(script, *arguments):
    """Of two processes that run Python's `script` INDEX PORT ARGUMENTS on one device each."""
    port = str(free_port())
    both = [
        subprocess.Popen(
            [sys.executable, '-c', script, str(index), port, *map(str, arguments)],
            env=environment(1, port, 2, index),
        )
        for index in range(2)
    ]
    return [process.wait(timeout=100) for process in both]


def free_port():
    with socket.socket() as found:
        found.bind(('localhost', 0))
        return found.getsockname()[1]


def last_step(workdir):
    """The last step in the metrics; 0 without any."""
    path = workdir / 'metrics.jsonl'
    lines = path.read_text().splitlines() if path.exists() else []
    steps = []
    for line in lines:
        try:
            steps.append(json.loads(line)['step'])
        except ValueError:
            break  # still being written
    return max(steps, default=0)
