"""The kernels that a compiled program starts: what each is, and what it moves and computes.

An instruction of the entry, or of a loop's body as often as that runs, is a kernel unless it only
names memory; what stands inside a fusion is no kernel of its own. A kernel's bytes are its operands
and its results, each once: what it must move where no cache helps. Of an array that it reads or
writes a slice of, only the slice counts.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gair_jax.bench.hlo import ArrayShape, Computation, Instruction, Module, trips

CLASSES = ('product', 'attention', 'other')
# These start nothing: they name memory, or end what another instruction has started.
FREE = (
    'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'after-all', 'partition-id',
    'replica-id', 'opt-barrier',
)  # fmt: skip
INNER = ('to_apply', 'calls', 'branch_computations', 'true_computation', 'false_computation')


class Kernel(NamedTuple):
    """An instruction that starts work.

    Attributes:
      instruction: the line.
      times: how often it runs.
      kind: one of `CLASSES`: a product of matrices, cuDNN's attention, or anything else.
      bytes: operands and results of one run.
      flops: multiplications and additions of products, of one run.
      number: of products, what is multiplied: bf16, f32, or tf32 (f32 rounded to 10 bits).
    """

    instruction: Instruction
    times: int
    kind: str
    bytes: int
    flops: int
    number: str


class Count(NamedTuple):
    """Of one class in a run of the program."""

    kernels: int
    bytes: int
    flops: int


def found(module: Module) -> list[Kernel]:
    """All kernels of a run."""
    return list(_inside(module, module.entry, 1))


def counts(kernels: Sequence[Kernel]) -> dict[str, Count]:
    """Kernels, bytes and FLOPs of each class."""
    return {name: _count([k for k in kernels if k.kind == name]) for name in CLASSES}


def _count(kernels: Sequence[Kernel]) -> Count:
    return Count(
        kernels=sum(k.times for k in kernels),
        bytes=sum(k.times * k.bytes for k in kernels),
        flops=sum(k.times * k.flops for k in kernels),
    )


def innermost(kernels: Sequence[Kernel], side: int, least: int) -> list[str]:
    """Results of at least `least` elements whose fastest axis has this side."""
    return [
        f'{kernel.instruction.name} {shape.dtype}{list(shape.sides)}'
        for kernel in kernels
        for shape in kernel.instruction.shapes
        if len(shape.sides) > 1 and shape.size >= least and shape.sides[shape.order[0]] == side
    ]


def _inside(module: Module, name: str, times: int) -> Iterator[Kernel]:
    computation = module.computations[name]
    for instruction in computation.instructions.values():
        opcode = instruction.opcode
        if opcode == 'while':
            repeats = times * trips(module, instruction)
            for inner in instruction.called('body', 'condition'):
                yield from _inside(module, inner, repeats)
        elif opcode in ('call', 'conditional', 'async-start'):
            for inner in instruction.called(*INNER):
                yield from _inside(module, inner, times)
        elif opcode not in FREE and not opcode.endswith('-done') and _moves(instruction):
            yield _kernel(module, computation, instruction, times)


def _moves(instruction: Instruction) -> bool:
    """Not so a copy of an empty array."""
    return any(shape.size for shape in instruction.shapes)


def _kernel(
    module: Module, computation: Computation, instruction: Instruction, times: int
) -> Kernel:
    operands = [
        shape for name in instruction.operands for shape in computation.instructions[name].shapes
    ]
    moved = _moved(module, computation, instruction)
    if 'fmha' in instruction.target:
        flops = _attention_flops(instruction, operands)
        return Kernel(instruction, times, 'attention', moved, flops, 'bf16')
    flops = _product_flops(module, computation, instruction)
    kind = 'product' if flops else 'other'
    number = _number(instruction, operands) if flops else ''
    return Kernel(instruction, times, kind, moved, flops, number)


def _number(instruction: Instruction, operands: Sequence[ArrayShape]) -> str:
    """What a product multiplies."""
    if operands[0].dtype != 'f32':
        return operands[0].dtype
    return 'f32' if re.search('highest', instruction.rest, re.IGNORECASE) else 'tf32'


def _attention_flops(instruction: Instruction, operands: Sequence[ArrayShape]) -> int:
    """Two products forward; backward five, the logits being computed again."""
    b, heads, queries, width = instruction.shapes[0].sides
    keys = operands[1].sides[1]
    products = 5 if 'Backward' in instruction.target else 2
    return 2 * products * b * heads * queries * keys * width


def _product_flops(module: Module, computation: Computation, instruction: Instruction) -> int:
    """Of a product, of a call of cuBLAS, or of the products inside a fusion; else 0."""
    if instruction.opcode == 'fusion':
        inner = [module.computations[name] for name in instruction.called('calls')]
        return sum(_product_flops(module, c, i) for c in inner for i in c.instructions.values())
    if instruction.opcode != 'dot' and 'cublas' not in instruction.target:
        return 0
    axes = re.search(r'lhs_contracting_dim[a-z]*"?[=:]\s*[\[{]([^\]}]*)', instruction.rest)
    assert axes is not None, instruction.rest
    left = computation.instructions[instruction.operands[0]].shapes[0].sides
    summed = math.prod(left[int(axis)] for axis in re.findall(r'\d+', axes[1]))
    return 2 * summed * instruction.shapes[0].size


def _moved(module: Module, computation: Computation, instruction: Instruction) -> int:
    """Bytes of operands and results, each once."""
    instructions = computation.instructions
    if instruction.opcode == 'fusion':
        (name,) = instruction.called('calls')
        return _moved_by_fusion(module.computations[name], instruction, instructions)
    if instruction.opcode == 'dynamic-slice':
        return 2 * instruction.bytes
    if instruction.opcode == 'dynamic-update-slice':
        return 2 * instructions[instruction.operands[1]].bytes
    results = instruction.shapes
    if instruction.opcode == 'custom-call':
        # What else a call gives is space to work in.
        results = tuple(s for s in results if s.dtype not in ('s8', 'u8')) or results
    taken = sum(instructions[name].bytes for name in set(instruction.operands))
    return taken + sum(shape.bytes for shape in results)


def _moved_by_fusion(
    inner: Computation, fusion: Instruction, outer: Mapping[str, Instruction]
) -> int:
    """With the slices alone of an operand of which only slices are used, or changed in place."""
    taken: dict[str, int] = {}
    for parameter in inner.instructions.values():
        if parameter.opcode == 'parameter':
            name = fusion.operands[int(parameter.inside)]
            taken[name] = taken.get(name, 0) + _read(inner, parameter)
    read = sum(min(size, outer[name].bytes) for name, size in taken.items())
    return read + sum(_written(inner, name) for name in _results(inner))


def _read(inner: Computation, parameter: Instruction) -> int:
    users = [i for i in inner.instructions.values() if parameter.name in i.operands]
    sliced = [i for i in users if i.operands[0] == parameter.name and 'dynamic-' in i.opcode]
    if not users or len(sliced) < len(users):
        return parameter.bytes
    return sum(i.bytes for i in sliced if i.opcode == 'dynamic-slice')


def _results(inner: Computation) -> tuple[str, ...]:
    root = inner.instructions[inner.root]
    return root.operands if root.opcode == 'tuple' else (root.name,)


def _written(inner: Computation, name: str) -> int:
    result = inner.instructions[name]
    while result.opcode == 'bitcast':
        result = inner.instructions[result.operands[0]]
    if result.opcode == 'dynamic-update-slice':
        return inner.instructions[result.operands[1]].bytes
    return inner.instructions[name].bytes
