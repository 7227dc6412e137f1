"""Executables that stand in for SLURM's and Google Cloud's, so that launchers run for real."""

import os
import pathlib
import sys

# Runs its command as SLURM_NTASKS tasks of this machine and gives the highest exit code, as srun
# does. SIGUSR1 stands for slurmctld's warning: every process of every task gets SIGTERM.
SRUN = """
import json, os, pathlib, signal, subprocess, sys
here = pathlib.Path(__file__).parent
options = []
while sys.argv[1].startswith('-'):
    options.append(sys.argv.pop(1))
(here / 'srun.json').write_text(json.dumps([options, sys.argv[1:]]))
count = int(os.environ['SLURM_NTASKS'])
tasks = []
for process in range(count):
    place = {
        'SLURM_PROCID': str(process), 'SLURM_LOCALID': str(process),
        'SLURM_STEP_NUM_TASKS': str(count), 'SLURM_STEP_NODELIST': 'localhost',
        'SLURM_STEP_NUM_NODES': '1', 'SLURM_STEP_ID': '0',
    }
    environ = {**os.environ, **place}
    tasks.append(subprocess.Popen(sys.argv[1:], env=environ, start_new_session=True))
def warn(number, frame):
    for task in tasks:
        os.killpg(task.pid, signal.SIGTERM)
signal.signal(signal.SIGUSR1, warn)
(here / 'srun.pid').write_text(str(os.getpid()))
codes = [task.wait() for task in tasks]
sys.exit(max(code if code >= 0 else 128 - code for code in codes))
"""

SCONTROL = """
import pathlib, sys
with open(pathlib.Path(__file__).parent / 'scontrol.log', 'a') as log:
    print(*sys.argv[1:], file=log)
"""


def executable(folder: pathlib.Path, name: str, source: str) -> None:
    """Writes a Python script that can be called by its name once `folder` is on PATH."""
    path = folder / name
    path.write_text(f'#!{sys.executable}\n{source}')
    path.chmod(0o755)


def path_of(folder: pathlib.Path) -> str:
    """A PATH on which the folder comes first."""
    return f'{folder}{os.pathsep}{os.environ["PATH"]}'


# Runs `ssh --worker=all --command=…` on two hosts that are folders of this machine.
GCLOUD = """
import os, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
with open(here / 'gcloud.log', 'a') as log:
    print(*[a for a in sys.argv[4:] if not a.startswith('--command')], file=log)
command = ''.join(a.removeprefix('--command=') for a in sys.argv if a.startswith('--command='))
if '--format=value(networkEndpoints[].ipAddress)' in sys.argv:
    print('10.0.0.1;10.0.0.2')
if '--format=value(state)' in sys.argv:
    print(os.environ.get('STATE', 'READY'))
if 'apt-get' in command:
    sys.exit()
hosts = []
for host in (0, 1) if command else ():
    home = here / f'host{host}'
    (home / 'gair_jax').mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, 'HOST': str(host), 'HOME': str(home)}
    hosts.append(subprocess.Popen(['bash', '-c', command], env=environ, cwd=home))
codes = [host.wait() for host in hosts]
sys.exit(next((code for code in codes if code), 0))
"""

SUDO = 'import os, sys; os.execvp(sys.argv[1], sys.argv[1:])'

# The metadata server tells each host its number.
CURL = 'import os; print(os.environ["HOST"], end="")'

SYSTEMCTL = """
import os, pathlib, sys
(pathlib.Path(os.environ['HOME']) / 'systemctl.log').write_text(' '.join(sys.argv[1:]))
"""

SYSTEMD_RUN = """
import os, subprocess, sys
environ, options = dict(os.environ), sys.argv[1:]
while options[0].startswith('-'):
    flag = options.pop(0)
    if flag in ('-p', '-E'):
        name, value = options.pop(0).split('=', 1)
        environ[name] = value
    elif flag.startswith('--working-directory='):
        os.chdir(flag.partition('=')[2])
with open(environ['StandardOutput'].removeprefix('append:'), 'a') as log:
    sys.exit(subprocess.run(options, env=environ, stdout=log, stderr=log).returncode)
"""
