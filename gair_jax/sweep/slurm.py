"""Runs of a sweep as one SLURM array: a batch script, and a task a run.

Tasks look up their run in the plan by its index, and refuse to begin if OUT/sweep.json, written
when the array was submitted, says otherwise.
"""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence

from gair_jax.config import InputError
from gair_jax.sweep import folder
from gair_jax.sweep import plan as plans
from gair_jax.sweep.plan import Plan, Run

# SLURM sends USR1 to the script this long before the time limit, so that the run can be saved.
_WARNING_SECONDS = 120

_SCRIPT = """\
#!/bin/bash
# One task a run of the sweep {name}. Written by launch/sweep.py; the runs are listed in sweep.json.
#SBATCH --job-name=sweep-{name}
#SBATCH --output={logs}
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@{warning}
{options}cd {folder} || exit 2
again=
{command} --index "$SLURM_ARRAY_TASK_ID" &
child=$!
# Near the time limit the run is saved and queued again; on any other end that is asked for, saved.
trap 'again=yes; kill -TERM "$child"' USR1
trap 'kill -TERM "$child"' TERM
code=0
wait "$child" || code=$?
# A trapped signal ends the waiting, not the child.
while kill -0 "$child" 2>/dev/null; do
  code=0
  wait "$child" || code=$?
done
if [ -n "$again" ] && [ "$code" -eq 75 ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit "$code"
"""


def script(name: str, out: pathlib.Path, command: Sequence[str], options: str) -> str:
    """The batch script.

    Args:
      name: of the sweep.
      out: its folder.
      command: what a task runs, but for `--index`.
      options: of sbatch, as on its command line; they come last and so win.
    """
    try:
        given = shlex.join(shlex.split(options))
    except ValueError as error:
        raise InputError(f'--slurm: {error} in {options!r}.') from error
    return _SCRIPT.format(
        name=name,
        logs=_logs(out.absolute()),
        warning=_WARNING_SECONDS,
        options=f'#SBATCH {given}\n' if given else '',
        folder=shlex.quote(os.getcwd()),
        command=shlex.join(command),
    )


def submit(
    plan: Plan, out: pathlib.Path, command: Sequence[str], options: str, at_once: int
) -> int:
    """Writes the script and the list of runs into `out`, and submits the runs that are not done.

    Args:
      plan: the sweep.
      out: its folder, which the nodes see too.
      command: as `script` takes it.
      options: of sbatch.
      at_once: most tasks at a time; 0 leaves that to SLURM.

    Returns:
      The exit code, 0.

    Raises:
      InputError: there is no sbatch, or it refuses.
    """
    left = [i for i, run in enumerate(plan.runs) if not folder.is_done(out, run)]
    if not left:
        print('All runs are done; --table-only collects them.')
        return 0
    if not shutil.which('sbatch'):
        raise InputError('--slurm: no sbatch on this machine; run this on a login node of SLURM')
    plans.write(plan, out)
    (out / 'logs').mkdir(exist_ok=True)
    path = out / 'sweep.sbatch'
    part = out / 'sweep.sbatch.part'
    part.write_text(script(plan.name, out, command, options), encoding='utf-8')
    os.replace(part, path)
    limit = f'%{at_once}' if at_once else ''
    array = f'--array={ranges(left)}{limit}'
    ran = subprocess.run(['sbatch', array, str(path)], capture_output=True, text=True)
    if ran.returncode:
        raise InputError(f'sbatch {array} {path}: {ran.stderr.strip() or "failed"}')
    print(f'{ran.stdout.strip()} ({len(left)} of {len(plan.runs)} runs); --table-only collects.')
    return 0


def ranges(indices: Sequence[int]) -> str:
    """`0-2,5` for 0, 1, 2, 5; ascending."""
    parts: list[list[int]] = []
    for index in indices:
        if parts and index == parts[-1][1] + 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ','.join(str(a) if a == b else f'{a}-{b}' for a, b in parts)


def task(plan: Plan, out: pathlib.Path, index: int) -> Run:
    """The run of an array's task.

    Raises:
      InputError: there is no such run, or the sweep has changed since the array was submitted.
    """
    if not 0 <= index < len(plan.runs):
        raise InputError(f'--index: expected 0 to {len(plan.runs) - 1}, found {index}.')
    path = out / 'sweep.json'
    if not path.is_file():
        raise InputError(f'{path}: no such file; --slurm writes it.')
    listed = json.loads(path.read_text(encoding='utf-8'))['runs']
    if index >= len(listed) or listed[index] != plans.to_json(plan)['runs'][index]:
        raise InputError(
            f'{path}: run {index} is not the one that the sweep file gives now; submit again.'
        )
    return plan.runs[index]


def _logs(out: pathlib.Path) -> str:
    """Where tasks write, as a line of #SBATCH takes it: a percent sign begins a pattern there."""
    if any(sign in str(out) for sign in '%"\n'):
        raise InputError(f'--out: expected a path that SLURM takes, found {str(out)!r}.')
    return f'"{out}/logs/slurm-%A_%a.out"'
