"""Where a build stands, read from its ledgers while it runs or after."""

import pathlib

from gair_jax.builders.streetscapes import build, plan_files, tally
from gair_jax.builders.streetscapes.tally import Tally

_WIDE = 13  # columns of a stage's name


def text(out: pathlib.Path) -> str:
    """Lines for a person: the plan's counts, and of each stage keys by state, bytes and reasons.

    Raises:
      InputError: there is no plan.
    """
    said = ', '.join(f'{name} {count:,}' for name, count in plan_files.numbers(out).items())
    left_out = plan_files.dropped(out)['reason'].value_counts().to_dict()
    lines = [f'{"plan":<{_WIDE}} {said}', *_reasons(left_out)]
    for stage in build.SHARED[1:]:
        if tally.paths(out, stage):
            lines.extend(_stage(stage, tally.of(out, stage)))
        else:
            lines.append(f'{stage:<{_WIDE}} not begun')
    return '\n'.join(lines)


def _stage(stage: str, found: Tally) -> list[str]:
    total = sum(found.states.values())
    said = ', '.join(f'{count:,} {state}' for state, count in found.states.items() if count)
    parts = [f'{found.settled:,} of {total:,} settled: {said}', tally.size_text(found.size)]
    if fetched := found.spent.get('fetched'):
        parts.append(f'{tally.size_text(fetched)} fetched')
    if found.rate:
        parts.append(f'{found.rate:.3g} a second')
    if found.left:
        parts.append(f'{tally.time_text(found.left)} left')
    said_why = {f'{state}: {kind}': count for (state, kind), count in found.reasons.items()}
    return [f'{stage:<{_WIDE}} {"; ".join(parts)}', *_reasons(said_why)]


def _reasons(found: dict[str, int]) -> list[str]:
    return [f'{"":<{_WIDE + 2}}{count:,} {reason}' for reason, count in found.items()]
