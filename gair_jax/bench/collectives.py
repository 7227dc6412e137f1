"""What devices send each other in a step, read from its compiled program."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from gair_jax.bench import hlo

KINDS = ('all-gather', 'all-reduce', 'reduce-scatter', 'collective-permute', 'all-to-all')
_STARTED = '-start'  # of an operation that another one ends
_CALLS = ('body', 'condition', 'to_apply', 'calls', 'called_computations', 'branch_computations')
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
    module = hlo.parse(text)
    return [c for c in _walk(module, module.entry, 1, devices) if c.devices > 1]


def _walk(module: hlo.Module, name: str, times: int, devices: int) -> Iterator[Collective]:
    for instruction in module.computations[name].instructions.values():
        kind = instruction.opcode.removesuffix(_STARTED)
        if kind in KINDS:
            group = _group(instruction.rest, devices)
            yield Collective(kind, _size(instruction), group, times)
        turns = hlo.trips(module, instruction) if instruction.opcode == 'while' else 1
        for called in instruction.called(*_CALLS):
            yield from _walk(module, called, times * turns, devices)


def _size(instruction: hlo.Instruction) -> int:
    """Bytes of a result; a started operation names its operand before it."""
    sizes = [shape.bytes for shape in instruction.shapes]
    return max(sizes) if instruction.opcode.endswith(_STARTED) else sum(sizes)


def _group(attributes: str, devices: int) -> int:
    """Devices that take part in one run of a collective."""
    if match := _GROUP_LISTS.search(attributes):
        return len([n for n in match[1].split(',') if n])
    if match := _GROUP_SHAPE.search(attributes):
        return int(match[2])
    if match := _GROUP_MESH.search(attributes):
        sides = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
        # A part of an axis says its own size: 'axis_0':(2)4.
        parts = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?", match[2])
        return math.prod(int(size or sides[name]) for name, size in parts)
    return devices
