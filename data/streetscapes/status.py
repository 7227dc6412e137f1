"""Where a build stands, read from its ledgers while it runs or after."""

import collections
import json
import pathlib

from gair_jax.builders.streetscapes import build, ledger, plan_files
from gair_jax.config import InputError

SETTLED = ('kept', 'dropped', 'gone')


def text(out: pathlib.Path) -> str:
    """Lines for a person: the plan's counts, and of each stage keys by state, bytes and reasons.

    Raises:
      InputError: there is no plan.
    """
    path = out / plan_files.FOLDER / plan_files.WHOLE
    try:
        counts = json.loads(path.read_text(encoding='utf-8'))['counts']
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f'{out}: expected a build with a plan, found none.') from error
    said = ', '.join(f'{name} {count}' for name, count in counts.items())
    lines = [f'{"plan":<13} {said}']
    for stage in build.SHARED[1:]:
        lines.extend(_stage(out, stage))
    return '\n'.join(lines)


def _stage(out: pathlib.Path, stage: str) -> list[str]:
    paths = sorted((out / 'ledgers').glob(f'{stage}-*.sqlite'))
    if not paths:
        return [f'{stage:<13} not begun']
    states, reasons, size = collections.Counter[str](), collections.Counter[str](), 0
    for entry in ledger.merged(paths):
        states[entry.state] += 1
        size += entry.size
        if entry.reason:
            reasons[f'{entry.state}: {entry.reason.partition(": ")[0]}'] += 1
    total = states.total()
    settled = sum(states[state] for state in SETTLED)
    said = ', '.join(f'{states[state]} {state}' for state in ledger.STATES if states[state])
    lines = [f'{stage:<13} {settled} of {total} settled: {said}; {size / 1e6:.1f} MB']
    return lines + [f'{"":<15}{count} {reason}' for reason, count in reasons.most_common()]
