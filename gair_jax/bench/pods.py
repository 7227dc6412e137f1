"""`gair bench pods`: how well a step would scale to many devices. Computed, not measured.

The step of the real config is compiled for so many virtual devices, and what they send each other
is read from the program; the speed of links turns that into time. Nothing is run.
"""

import collections
import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from gair_jax.bench import links, record, virtual
from gair_jax.bench.collectives import Collective, collectives
from gair_jax.bench.settings import settings
from gair_jax.bench.timing import say
from gair_jax.bench.training import shapes, training
from gair_jax.config import Config, InputError
from gair_jax.models import flops, gair
from gair_jax.train import sharding


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the pods.

    Attributes:
      config: config file; '' is the paper's model.
      overrides: its `--config.FIELD=VALUE`.
      devices: how many, each a pod of its own.
      batch: triples on each device.
      step_seconds: of one device alone at this batch; 0: from FLOPs, `mfu` and the data sheet.
      mfu: share of the data sheet's rate that the step is assumed to reach.
      link: name in `links.LINKS`.
    """

    config: str = ''
    overrides: tuple[str, ...] = ()
    devices: tuple[int, ...] = (8, 64, 256)
    batch: int = 256
    step_seconds: float = 0.0
    mfu: float = 0.5
    link: str = 'nvlink4'


def bench(sizes: Sizes, rounds: int, peer: str) -> dict[str, Any]:
    """Predicted efficiency for each number of devices, with all that it rests on.

    Raises:
      InputError: the config cannot be used, alone or on so many devices.
    """
    del rounds
    assert not peer, 'the peer runs on one device'
    if not 0 < sizes.mfu <= 1:
        raise InputError(f'--mfu: expected above 0 and at most 1, found {sizes.mfu}.')
    config = settings(sizes.config, sizes.overrides)
    config.model.rolled = True  # compiles faster and sends the same
    devices = virtual.cpu_devices(max(sizes.devices))
    link = links.LINKS[sizes.link]
    alone = of_devices(config, sizes, 1)
    one = sizes.step_seconds or _flops(alone) / (sizes.mfu * link.peak)
    pods = {}
    for count in sizes.devices:
        say(f'compiling for {count}')
        found = sent(of_devices(config, sizes, count), devices[:count])
        more = _flops(of_devices(config, sizes, count)) / count / _flops(alone)
        pods[str(count)] = pod(count, sizes.batch, one, one * more, found, link)
    say('')
    return {
        'what': 'pods',
        'sizes': {**dataclasses.asdict(sizes), 'accumulation': config.accumulation},
        'dtype': config.model.dtype,
        'seconds_alone': one,
        'pods': pods,
        'assumptions': assumptions(sizes, link),
        **record.machine(),
    }


def of_devices(config: Config, sizes: Sizes, count: int) -> Config:
    """The config with the batch of so many devices."""
    made = copy.deepcopy(config)
    made.batch = count * sizes.batch
    return made


def sent(config: Config, devices: Sequence[jax.Device]) -> list[Collective]:
    """The collectives of a step of a config on these devices."""
    made = training(config, sharding.make_mesh(devices, config.mesh.fsdp))
    text = made.lowered(shapes(config)).compile().as_text()
    return collectives(text, len(devices))


def pod(
    count: int, batch: int, alone: float, compute: float, found: Sequence[Collective],
    link: links.Link,
) -> dict[str, Any]:  # fmt: skip
    """Of one number of devices.

    Args:
      count: devices.
      batch: triples on each.
      alone: seconds of the step of one device without others.
      compute: the same with the larger loss, whose rows meet those of all devices.
      found: what they send.
      link: between them.
    """
    by_kind: collections.Counter[str] = collections.Counter()
    for each in found:
        by_kind[each.kind] += round(each.sent)
    communication = links.seconds(link, found)
    after, during = compute + communication, max(compute, communication)
    return {
        'batch': count * batch,
        'compute_seconds': compute,
        'communication_seconds': communication,
        'efficiency': round(alone / after, 4),
        'efficiency_overlapped': round(alone / during, 4),
        'triples_per_second': round(count * batch / after, 1),
        'bytes_sent_per_device': dict(by_kind),
        'collectives': sum(each.times for each in found),
    }


def assumptions(sizes: Sizes, link: links.Link) -> list[str]:
    """Sentences without which the figures mean nothing."""
    alone = (
        f'one device alone takes {sizes.step_seconds} s for {sizes.batch} triples, as given'
        if sizes.step_seconds
        else f'one device reaches {sizes.mfu:.0%} of {link.peak / 1e12:.0f} TFLOP/s'
    )
    speed = f'a device sends {link.inside / 1e9:.0f} GB/s'
    if 1 < link.node < max(sizes.devices):
        speed += f' within its node of {link.node} and {link.between / 1e9:.0f} GB/s beyond'
    if max(sizes.devices) < link.ring_from or min(sizes.devices) < link.ring_from:
        speed += f', and half of that on fewer than {link.ring_from} devices (no ring)'
    return [
        alone,
        speed,
        'collectives are rings, latency and waiting for slower devices are left out',
        'efficiency: communication after computing; overlapped: all of it during computing',
        'bytes are those of the program that the CPU compiler makes; others may combine or '
        'reorder collectives, and hardly change their bytes',
        'input keeps up',
    ]


def _flops(config: Config) -> int:
    return flops.train_step(config, gair.build(config))


def table(found: Mapping[str, Any]) -> str:
    """The record for a reader."""
    sizes = found['sizes']
    lines = [
        f'{sizes["batch"]} triples on each device, {found["dtype"]}, links {sizes["link"]}: '
        'predicted, nothing was run.',
        '',
        f'{"devices":>8}{"batch":>9}{"compute s":>11}{"sends s":>10}{"GB sent":>9}'
        f'{"efficiency":>12}{"overlapped":>12}{"triples/s":>11}',
    ]
    for count, pod in found['pods'].items():
        gigabytes = sum(pod['bytes_sent_per_device'].values()) / 1e9
        lines.append(
            f'{count:>8}{pod["batch"]:>9}{pod["compute_seconds"]:>11.4g}'
            f'{pod["communication_seconds"]:>10.3g}{gigabytes:>9.3g}{pod["efficiency"]:>12.1%}'
            f'{pod["efficiency_overlapped"]:>12.1%}{pod["triples_per_second"]:>11.4g}'
        )
    return '\n'.join([*lines, '', 'Assumed:', *(f'- {each}' for each in found['assumptions'])])
