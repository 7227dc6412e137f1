"""How fast devices reach each other, and what collectives take by that: computed, not measured.

Speeds are what one device sends in a second, by the makers' figures:

  nvlink4   900 GB/s in both directions (NVIDIA H100 and H200 data sheets), so 450 in one, of which
            80 % is assumed; nodes of 8, beyond them a port of InfiniBand for each GPU
  ib-ndr    400 Gb/s a port (NVIDIA Quantum-2), one for each GPU, of which 90 % is assumed
  tpu-*     per axis of the torus 90 (v5e) or 180 GB/s (v5p, v6e) in both directions, on 2, 3 and 2
            axes (jax-ml/scaling-book, "How to think about TPUs"); slices below a certain size are
            no rings, which halves the speed

Latency is left out: it matters for many small collectives, which this cannot tell.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from gair_jax.bench.collectives import Collective


class Link(NamedTuple):
    """Between devices.

    inside: bytes/s within a node. node: devices of a node. between: bytes/s a device beyond it.
    ring_from: devices from which axes are rings. peak: of a device that has such links, dense
    bfloat16 FLOP/s by its data sheet.
    """

    inside: float
    node: int
    between: float
    ring_from: int
    peak: float


_PORT = 0.9 * 50e9
LINKS = {
    'nvlink4': Link(0.8 * 450e9, 8, _PORT, 1, 989e12),
    'ib-ndr': Link(_PORT, 1, _PORT, 1, 989e12),
    'tpu-v5e': Link(2 * 9e10, 2**30, 2 * 9e10, 256, 197e12),
    'tpu-v5p': Link(3 * 1.8e11, 2**30, 3 * 1.8e11, 64, 459e12),
    'tpu-v6e': Link(2 * 1.8e11, 2**30, 2 * 1.8e11, 256, 918e12),
}
# By a part of the name that JAX gives the device.
OF_DEVICES = {
    'H100': 'nvlink4', 'H200': 'nvlink4', 'TPU v5 lite': 'tpu-v5e', 'TPU v5': 'tpu-v5p',
    'TPU v6 lite': 'tpu-v6e',
}  # fmt: skip


def of_device(device_kind: str) -> Link | None:
    """The link of a kind of device; None where it is not known."""
    return next((LINKS[link] for name, link in OF_DEVICES.items() if name in device_kind), None)


def seconds(link: Link, found: Iterable[Collective]) -> float:
    """Of all collectives one after the other."""
    return math.fsum(_one(link, each) for each in found)


def _one(link: Link, each: Collective) -> float:
    slower = 1 if each.devices >= link.ring_from else 2
    if each.devices <= link.node:
        return slower * each.sent / link.inside
    if each.kind == 'collective-permute':  # some device sends it out of its node
        return slower * each.sent / link.between
    # First within the nodes; between them each device then sends its own part alone.
    return slower * (
        each.sent / link.inside * (link.node > 1) + each.sent / link.node / link.between
    )
