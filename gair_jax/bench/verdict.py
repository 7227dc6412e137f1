"""What bounds a step: input, computing, memory or communication, with the numbers that say so."""

from typing import NamedTuple

WAITING = 0.05  # share of a step from which waiting for batches is what to mend first


class Bound(NamedTuple):
    """`by`: 'input', 'compute', 'memory' or 'communication'; `reason`: a sentence."""

    by: str
    reason: str


class Parts(NamedTuple):
    """Of one step, seconds: measured, and what its parts would take alone at their ceilings.

    step: measured, waiting included. waiting: for batches. compute: matrix products at the rate of
    a large one. memory: the traffic that the compiler estimates, at the rate of a copy.
    communication: between devices.
    """

    step: float
    waiting: float
    compute: float
    memory: float
    communication: float


def bound(parts: Parts) -> Bound:
    """The part that takes longest, unless the step waits for its batches."""
    if parts.waiting >= WAITING * parts.step:
        return Bound(
            'input',
            f'{parts.waiting / parts.step:.0%} of the step is waiting for batches '
            '(gair bench input says what holds them up)',
        )
    alone = {name: getattr(parts, name) for name in ('compute', 'memory', 'communication')}
    by = max(alone, key=lambda name: alone[name])
    shares = ', '.join(f'{name} {alone[name] / parts.step:.0%}' for name in alone if alone[name])
    return Bound(by, f'at its ceiling each part alone would take, of the step: {shares}')
