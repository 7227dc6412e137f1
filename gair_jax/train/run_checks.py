"""What is refused before a run starts, and the record of what it is."""

import json
import os
import pathlib

from gair_jax.config import Config, InputError
from gair_jax.train import checkpoint


def require_lengths(config: Config) -> None:
    """Refuses lengths and intervals that no run can have."""
    least = {
        'batch': (config.batch, 1),
        'steps': (config.steps, 0),
        'checkpoint.every': (config.checkpoint.every, 1),
        'checkpoint.keep': (config.checkpoint.keep, 1),
        'checkpoint.keep_every': (config.checkpoint.keep_every, 0),
        'eval.every': (config.eval.every, 0),
        'eval.batches': (config.eval.batches, 1),
        'log.every': (config.log.every, 1),
    }
    for name, (found, lowest) in least.items():
        if found < lowest:
            raise InputError(f'{name}: expected at least {lowest}, found {found}.')
    if not config.steps and config.epochs <= 0:
        raise InputError(f'epochs: expected more than 0 (or steps set), found {config.epochs}.')


def require_same_run(config: Config, workdir: pathlib.Path) -> None:
    """Refuses a workdir that holds a checkpoint of another run."""
    stored = checkpoint.stored_config(workdir)
    changed = checkpoint.differences(stored, config) if stored else []
    if changed:
        more = f' and {len(changed) - 1} more' if len(changed) > 1 else ''
        raise InputError(
            f'{workdir}: holds a checkpoint of another run: {changed[0]}{more}; '
            'use another workdir, or init.all to start from it.'
        )


def require_fast_layers(config: Config, platform: str) -> None:
    """Refuses a rolled loop over layers that keeps what each layer made, but on a CPU.

    It copies all of that into and out of large buffers; four times the memory traffic of unrolled
    layers was counted for a GPU. With remat there is little to copy. On a CPU it compiles faster,
    which is worth more in a small run.
    """
    if config.model.rolled and config.model.remat != 'full' and platform != 'cpu':
        raise InputError(
            f"model.rolled: on a {platform} a rolled loop expects model.remat='full', found "
            f'{config.model.remat!r}; model.rolled=False is the fast way without remat.'
        )


def write_config(config: Config, workdir: pathlib.Path) -> None:
    """Writes `config.json`, whole or not at all."""
    part = workdir / 'config.json.part'
    part.write_text(json.dumps(checkpoint.to_json(config), indent=1), encoding='utf-8')
    os.replace(part, workdir / 'config.json')
