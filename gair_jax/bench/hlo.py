"""A compiled program as text: XLA's scheduled HLO, taken apart into computations and instructions.

Only what counting needs is kept. An instruction is one line:

  %name = bf16[50176,768]{1,0} opcode(%operand, ...), attribute=..., attribute=...
"""

import functools
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

BYTES = {
    'pred': 1, 's8': 1, 'u8': 1, 'f8e4m3fn': 1, 'f8e5m2': 1, 's16': 2, 'u16': 2, 'f16': 2,
    'bf16': 2, 's32': 4, 'u32': 4, 'f32': 4, 's64': 8, 'u64': 8, 'f64': 8, 'c64': 8, 'c128': 16,
}  # fmt: skip

_LINE = re.compile(r'^\s+(ROOT )?%?([\w.\-]+) = (.*)$')
_HEAD = re.compile(r'^(ENTRY )?%?([\w.\-]+) .*\{$')
_ARRAY = re.compile(r'(\w+)\[([\d,<=]*)\](?:\{([\d,]*))?')
_NAME = re.compile(r'%([\w.\-]+)')
_TRIPS = re.compile(r'"known_trip_count":\s*\{"n":\s*"(\d+)"\}')


class ArrayShape(NamedTuple):
    """One array: element type, sides, and the order of its axes in memory, fastest first."""

    dtype: str
    sides: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.sides)

    @property
    def bytes(self) -> int:
        """Of all elements; 0 for tokens and the like, which hold none."""
        return BYTES.get(self.dtype, 0) * self.size


class Instruction(NamedTuple):
    """One line.

    Attributes:
      name: without the percent sign.
      opcode: what it does.
      shapes: what it gives, the arrays of a tuple in order.
      operands: names of what it takes.
      inside: the text between its brackets.
      rest: its attributes, as text.
    """

    name: str
    opcode: str
    shapes: tuple[ArrayShape, ...]
    operands: tuple[str, ...]
    inside: str
    rest: str

    @property
    def bytes(self) -> int:
        """Of what it gives."""
        return sum(shape.bytes for shape in self.shapes)

    @property
    def target(self) -> str:
        """Of a custom call; else ''."""
        return _first(r'custom_call_target="([^"]*)"', self.rest)

    @property
    def origin(self) -> str:
        """Path of the operation of the traced function that it stems from."""
        return _first(r'op_name="([^"]*)"', self.rest)

    def called(self, *attributes: str) -> list[str]:
        """Names of the computations that these attributes name."""
        found: list[str] = []
        for attribute in attributes:
            for text in re.findall(rf'\b{attribute}=(\{{[^}}]*\}}|%[\w.\-]+)', self.rest):
                found += _NAME.findall(text)
        return found


class Computation(NamedTuple):
    """Instructions by name, in the order in which they run; `root` gives the result."""

    instructions: Mapping[str, Instruction]
    root: str


class Module(NamedTuple):
    """A program; it starts with the computation `entry`."""

    entry: str
    computations: Mapping[str, Computation]


def parse(text: str) -> Module:
    """The module of a text, as `compiled.as_text()` gives it."""
    entry = head = ''
    lines: dict[str, Instruction] = {}
    computations: dict[str, Computation] = {}
    for line in text.splitlines():
        if found := _HEAD.match(line):
            head, lines = found[2], {}
            entry = head if found[1] else entry
        elif found := _LINE.match(line):
            lines[found[2]] = _instruction(found[2], found[3])
            if found[1]:
                computations[head] = Computation(lines, found[2])
    return Module(entry, computations)


def trips(module: Module, loop: Instruction) -> int:
    """How often a loop's body runs: as the compiler says, or the only bound in its condition.

    Raises:
      ValueError: neither is known.
    """
    if found := _TRIPS.search(loop.rest):
        return int(found[1])
    (condition,) = loop.called('condition')
    bounds = {
        int(instruction.inside)
        for instruction in module.computations[condition].instructions.values()
        if instruction.opcode == 'constant' and instruction.inside.isdecimal()
    }
    if len(bounds) != 1:
        raise ValueError(f'{loop.name}: how often it runs is not written in the program')
    return bounds.pop()


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text, 0) + 1 if text.startswith('(') else text.index(' ')
    shape, text = text[:end], text[end:].lstrip()
    opcode = text[: text.index('(')]
    end = _closing(text, len(opcode))
    inside = text[len(opcode) + 1 : end]
    operands = tuple(_NAME.findall(inside))
    return Instruction(name, opcode, _shapes(shape), operands, inside, text[end + 1 :])


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed."""
    depth = 0
    for found in re.finditer(r'[()]', text[start:]):
        depth += 1 if found[0] == '(' else -1
        if not depth:
            return start + found.start()
    raise ValueError(f'no closing bracket: {text[:80]}')


@functools.cache
def _shapes(text: str) -> tuple[ArrayShape, ...]:
    return tuple(
        ArrayShape(dtype, _numbers(sides), _numbers(order))
        for dtype, sides, order in _ARRAY.findall(text)
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r'\d+', text))


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ''
