"""`gair bench all`: each part at a small size, one after the other, and what bounds a run."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

from gair_jax.bench import embed, loss, nili, record, train
from gair_jax.bench.verdict import Bound


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of all parts.

    Attributes:
      config: config file, whose data set is read; '' is the paper's model, without any data.
      overrides: its `--config.FIELD=VALUE`.
    """

    config: str = ''
    overrides: tuple[str, ...] = ()


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """The record of each part, and one verdict; `input` is null without a config.

    Raises:
      InputError: the config, its data set or the peer cannot be used.
    """
    given = dataclasses.asdict(sizes)
    # The peer has a model of its own, which does not go with a config.
    beside_train = '' if sizes.config else peer
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        'train': lambda: train.bench(train.Sizes(**given, steps=rounds), 0, beside_train),
        'loss': lambda: loss.bench(loss.Sizes(n=2048), rounds, ''),
        'nili': lambda: nili.bench(nili.Sizes(batch=1, queries=48), rounds, peer),
        'embed': lambda: embed.bench(embed.Sizes(batch=4), rounds, peer),
    }
    if sizes.config:
        from gair_jax.bench import input as pipeline

        parts['input'] = lambda: pipeline.bench(pipeline.Sizes(**given, seconds=5), 0, '')
    found: dict[str, Any] = {'input': None}
    for name, run in parts.items():
        print(f'gair bench {name} ...', file=sys.stderr, flush=True)
        found[name] = run()
    return {
        'what': 'all', 'sizes': given, **found,
        'verdict': verdict(found['train'], found['input'])._asdict(), **record.machine(),
    }  # fmt: skip


def verdict(step: Mapping[str, Any], read: Mapping[str, Any] | None) -> Bound:
    """What bounds a run: its input where that is slower than the step, else what bounds the step.

    `step` and `read` are the records of `gair bench train` and, if there is one, `input`.
    """
    if read is None:
        return Bound(**step['verdict'])
    taken, given = step['ours']['per_second'], read['triples_per_second']
    if given < taken:
        return Bound(
            'input',
            f'the data set gives {given:.4g} triples/s, and the step would take {taken:.4g}; '
            + read['verdict'],
        )
    more = (
        f'the data set gives {given:.4g} triples/s, {given / taken:.3g} times what the step takes'
    )
    return Bound(step['verdict']['by'], f'{step["verdict"]["reason"]}; {more}')


def table(found: Mapping[str, Any]) -> str:
    """The records for a reader."""
    modules: dict[str, Any] = {'train': train, 'loss': loss, 'nili': nili, 'embed': embed}
    parts = [f'== {name}\n{modules[name].table(found[name])}' for name in modules]
    if found['input'] is not None:
        from gair_jax.bench import input as pipeline

        parts.append(f'== input\n{pipeline.table(found["input"])}')
    bound = found['verdict']
    return '\n\n'.join([*parts, f'A run is bound by {bound["by"]}: {bound["reason"]}.'])
