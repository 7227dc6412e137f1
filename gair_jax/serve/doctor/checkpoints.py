"""Examines a checkpoint: whether it is whole, what it is, and whether its numbers were trained."""

import pathlib
from collections.abc import Iterator

import jax
import numpy as np

from gair_jax.config import InputError
from gair_jax.convert.table import flatten
from gair_jax.models import gair
from gair_jax.serve import weights
from gair_jax.serve.doctor.finding import Expected, Finding, or_fine, suspicious, unusable
from gair_jax.serve.weights import OURS, Weights

UNFINISHED = '.orbax-checkpoint-tmp'


def examine(path: pathlib.Path, expected: Expected) -> list[Finding]:
    """Looks at a workdir, a step, a converted checkpoint, or a .safetensors or .pth file."""
    del expected
    if UNFINISHED in path.name:
        return [unusable(path, 'expected a checkpoint, found one whose writing was cut short')]
    try:
        found = weights.read(path)
    except InputError as error:
        return [unusable(path, _reason(path, error))]
    said = [*_leftovers(path), *_contracts(path, found), *_shapes(path, found)]
    said += _numbers(path, flatten(found.params))
    return or_fine(path, said, _summary(found))


def _reason(path: pathlib.Path, error: InputError) -> str:
    return str(error).removeprefix(f'{path}: ').removeprefix(f'{path.absolute()}: ').rstrip('.')


def _leftovers(path: pathlib.Path) -> Iterator[Finding]:
    for folder in sorted(path.glob(f'*/*{UNFINISHED}*')) if path.is_dir() else ():
        yield suspicious(
            path,
            f'expected whole checkpoints, found {folder.name}, whose writing was cut short; the '
            'others are whole, and training goes on from them',
        )


def _contracts(path: pathlib.Path, found: Weights) -> Iterator[Finding]:
    for side in ('rs', 'sv'):
        if side not in found.params:
            continue
        wanted = getattr(found.config.input, side).sensor
        contract = found.contracts.get(side)
        if contract is None:
            yield unusable(
                path,
                f'expected a sensor contract for its encoder {side!r}, found none, so no pixels '
                f'can be prepared for it (its config names {wanted})',
            )
        elif contract.name != wanted:
            yield suspicious(
                path,
                f'expected the sensor contract {wanted}, which its config names, for its encoder '
                f'{side!r}, found {contract.name}',
            )


def _shapes(path: pathlib.Path, found: Weights) -> Iterator[Finding]:
    """What its parameters and the model of its config do not have in common."""
    try:
        model = jax.eval_shape(gair.build(found.config).init, jax.random.key(0))
    except InputError as error:
        yield unusable(path, f'its config describes no model: {str(error).rstrip(".")}')
        return
    ours = {name: tuple(leaf.shape) for name, leaf in flatten(model).items()}
    held = {name: tuple(leaf.shape) for name, leaf in flatten(found.params).items()}
    # A learned temperature and the decoder of masked autoencoding are trained beside the model.
    odd = [name for name, shape in ours.items() if held.get(name) != shape]
    if odd:
        yield unusable(
            path,
            f'expected, from its config, {odd[0]} of shape {ours[odd[0]]}, found '
            f'{held.get(odd[0], "no such parameter")} ({len(odd)} such)',
        )


def _numbers(path: pathlib.Path, leaves: dict[str, jax.Array]) -> Iterator[Finding]:
    arrays = {name: np.asarray(leaf) for name, leaf in leaves.items()}
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken:
        yield unusable(
            path,
            f'expected finite parameters, found nan or infinite ones in {len(broken)} of '
            f'{len(arrays)}, as {broken[0]}; take an earlier step',
        )
    elif looks_drawn(arrays):
        yield suspicious(
            path,
            'expected trained parameters, found every bias 0 and every scale 1, as they are drawn '
            'before the first step; its embeddings mean nothing',
        )


def looks_drawn(arrays: dict[str, np.ndarray]) -> bool:
    """Whether parameters, by path, are as drawn: a step of training moves any bias and scale."""
    start = {'bias': 0.0, 'scale': 1.0}
    told = [(array, start[end]) for name, array in arrays.items() if (end := _end(name)) in start]
    return bool(told) and all((array == value).all() for array, value in told)


def _end(name: str) -> str:
    return name.rpartition('/')[2]


def _summary(found: Weights) -> str:
    leaves = flatten(found.params).values()
    count = sum(leaf.size for leaf in leaves)
    origin = found.origin
    source = 'trained here' if origin.source == OURS else f'converted from {origin.source}'
    step = f', step {origin.step}' if origin.step >= 0 else ''
    sensors = ', '.join(f'{side} {contract.name}' for side, contract in found.contracts.items())
    return f'a checkpoint {source}{step}, {count:,} parameters, contracts {sensors or "none"}'
