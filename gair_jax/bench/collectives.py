"""What devices send each other in a step, read from the text of its compiled program."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ('all-gather', 'all-reduce', 'reduce-scatter', 'collective-permute', 'all-to-all')
_BYTES = {
    'pred': 1, 's8': 1, 'u8': 1, 's16': 2, 'u16': 2, 'bf16': 2, 'f16': 2, 's32': 4, 'u32': 4,
    'f32': 4, 's64': 8, 'u64': 8, 'f64': 8,
}  # fmt: skip
_COMPUTATION = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(.*\{$')
_COLLECTIVE = re.compile(rf' = (.*?) ({"|".join(KINDS)})(-start)?\(')
_SHAPE = re.compile(r'(\w+)\[([\d,]*)\]')
_CALLED = re.compile(r'(?:body|condition|to_apply|calls|called_computations|branch_computations)='
                     r'(?:%?([\w.\-]+)|\{([^}]*)\})')  # fmt: skip
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_GROUP_LISTS = re.compile(r'replica_groups=\{\{([\d,]*)\}')
_GROUP_SHAPE = re.compile(r'replica_groups=\[(\d+),(\d+)\]')
_GROUP_MESH = re.compile(r'replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}')


class Collective(NamedTuple):
    """One operation: its kind, the bytes of its result, devices a group, and how often it runs."""

    kind: str
    size: int
    devices: int
    times: int

    @property
    def sent(self) -> float:
        """Bytes that each device sends in a step, by ring algorithms."""
        share = (self.devices - 1) / self.devices
        parts = {
            'all-gather': share,
            'all-reduce': 2 * share,
            'reduce-scatter': self.devices - 1,
            'collective-permute': 1,
            'all-to-all': share,
        }
        return self.times * self.size * parts[self.kind]


def collectives(text: str, devices: int) -> list[Collective]:
    """All that a program of so many devices runs; those in loops as often as the loop turns."""
    computations, entry = _computations(text)
    found: list[Collective] = []

    def walk(name: str, times: int) -> None:
        for line in computations.get(name, []):
            if match := _COLLECTIVE.search(line):
                found.append(
                    Collective(
                        match[2], _size(match[1], bool(match[3])), _group(line, devices), times
                    )
                )
            turns = int(trips[1]) if (trips := _TRIPS.search(line)) else 1
            for called in _called(line):
                walk(called, times * turns)

    walk(entry, 1)
    return [c for c in found if c.devices > 1]


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    """Lines of each computation, and the name of the entry."""
    lines: dict[str, list[str]] = {}
    entry, current = '', ''
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            current = match[2]
            lines[current] = []
            entry = current if match[1] else entry
        elif current:
            lines[current].append(line)
    return lines, entry


def _called(line: str) -> Iterator[str]:
    for match in _CALLED.finditer(line):
        yield from (name.strip(' %') for name in (match[1] or match[2]).split(','))


def _size(shape: str, started: bool) -> int:
    """Bytes of a result; a started operation names its operand before it."""
    sizes = [
        _BYTES.get(kind, 4) * math.prod(int(n) for n in sides.split(',') if n)
        for kind, sides in _SHAPE.findall(shape)
    ]
    return max(sizes) if started else sum(sizes)


def _group(line: str, devices: int) -> int:
    """Devices that take part in one run of a collective."""
    if match := _GROUP_LISTS.search(line):
        return len([n for n in match[1].split(',') if n])
    if match := _GROUP_SHAPE.search(line):
        return int(match[2])
    if match := _GROUP_MESH.search(line):
        sides = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
        # A part of an axis says its own size: 'axis_0':(2)4.
        parts = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", match[2])
        return math.prod(int(size or sides[name]) for name, size in parts)
    return devices
