"""A function compiled ahead of time, with what the compiler says about it."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Program(NamedTuple):
    """A compiled function.

    call: runs it; seconds: tracing and compiling took; flops, bytes: floating-point operations and
    memory traffic of a call as the compiler estimates them; temporary: bytes of its buffers beside
    inputs and outputs. -1 where a backend does not say.
    """

    call: Any
    seconds: float
    flops: float
    bytes: float
    temporary: int

    def record(self) -> dict[str, float]:
        """For a report."""
        return {
            'compile_seconds': round(self.seconds, 3),
            'compiled_flops': self.flops,
            'compiled_bytes': self.bytes,
            'compiled_temporary_bytes': self.temporary,
        }


def compile_ahead(function: Callable[..., Any], *arguments: Any) -> Program:
    """`function` compiled for arguments like these."""
    start = time.perf_counter()
    return compiled(jax.jit(function).lower(*arguments), start)


def compiled(lowered: Any, start: float | None = None) -> Program:
    """A traced function compiled; `start`: when tracing began, by time.perf_counter."""
    start = time.perf_counter() if start is None else start
    program = lowered.compile()
    seconds = time.perf_counter() - start
    cost, memory = program.cost_analysis() or {}, program.memory_analysis()
    return Program(
        call=program,
        seconds=seconds,
        flops=float(cost.get('flops', -1)),
        bytes=float(cost.get('bytes accessed', -1)),
        temporary=-1 if memory is None else int(memory.temp_size_in_bytes),
    )
