"""Bytes of collectives: of programs whose collectives are known, and of text in other dialects."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gair_jax.bench import links
from gair_jax.bench.collectives import Collective, collectives


def compiled(function, shape, out, devices=8):
    """Text of `function` on each device's rows of an array."""
    mesh = jax.make_mesh(
        (devices,), ('d',), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices]
    )
    mapped = jax.shard_map(function, mesh=mesh, in_specs=P('d'), out_specs=out, check_vma=False)
    given = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, P('d')))
    return jax.jit(mapped).lower(given).compile().as_text()


PASS_ON = functools.partial(
    jax.lax.ppermute, axis_name='d', perm=[(i, (i + 1) % 8) for i in range(8)]
)
CASES = {
    'all-reduce': (lambda x: jax.lax.psum(x, 'd'), P(), 4 * 64, 2 * 7 / 8 * 4 * 64),
    'all-gather': (lambda x: jax.lax.all_gather(x, 'd'), P(), 4 * 512, 7 / 8 * 4 * 512),
    'reduce-scatter': (
        lambda x: jax.lax.psum_scatter(x, 'd', tiled=True), P('d'), 4 * 8, 7 / 8 * 4 * 64,
    ),
    'collective-permute': (PASS_ON, P('d'), 4 * 64, 4 * 64),
}  # fmt: skip


@pytest.mark.parametrize('kind', CASES)
def test_a_collective_is_found_with_what_a_ring_sends(kind):
    function, out, size, sent = CASES[kind]
    [found] = collectives(compiled(function, (8 * 64,), out), 8)
    assert found == Collective(kind, size, 8, 1)
    assert found.sent == pytest.approx(sent)


def test_one_in_a_loop_counts_as_often_as_the_loop_turns():
    def ring(x):
        def turn(carry, _):
            return jax.lax.scan(lambda c, _: (PASS_ON(c), None), carry, length=3)

        return jax.lax.scan(turn, x, length=5)[0]

    found = collectives(compiled(ring, (8, 16), P('d')), 8)
    assert sum(c.times for c in found) == 15 and {c.size for c in found} == {64}


def test_a_program_of_one_device_sends_nothing():
    assert collectives(compiled(lambda x: jax.lax.psum(x, 'd'), (64,), P(), 1), 1) == []


@pytest.mark.parametrize(
    ('line', 'found'),
    [
        (
            '%a = bf16[4,8]{1,0} all-gather(%p), replica_groups={{0,1},{2,3}}, dimensions={0}',
            Collective('all-gather', 64, 2, 1),
        ),
        (
            '%a = (f32[2]{0}, f32[8]{0}) all-gather-start(%p), replica_groups=[2,4]<=[8]',
            Collective('all-gather', 32, 4, 1),
        ),
        (
            "%a = f32[3]{0} all-reduce(%p), replica_groups=mesh['x'=2,'y'=4] {'y'}",
            Collective('all-reduce', 12, 4, 1),
        ),
        (
            "%a = f32[3]{0} all-reduce(%p), replica_groups=mesh['x'=8] {'x':(2)4}",
            Collective('all-reduce', 12, 4, 1),
        ),
        (
            '%a = (f32[3]{0}, s8[5]{0}) all-reduce(%p, %q), to_apply=%add',
            Collective('all-reduce', 17, 8, 1),
        ),
    ],
)
def test_other_ways_to_write_groups_and_results(line, found):
    add = '%add (x: f32[]) -> f32[] {\n  ROOT %x = f32[] parameter(0)\n}\n'
    text = f'HloModule m\n\n{add}\nENTRY %main (p: f32[4]) -> f32[4] {{\n  ROOT {line}\n}}\n'
    assert collectives(text, 8) == [found]


def test_within_a_node_time_is_bytes_by_speed_and_beyond_it_the_port_comes_on_top():
    link = links.Link(inside=100.0, node=8, between=10.0, ring_from=1, peak=1.0)
    inside = Collective('all-reduce', 800, 8, 1)  # 2 x 7/8 x 800 = 1400 bytes
    assert links.seconds(link, [inside]) == pytest.approx(14)
    beyond = Collective('all-gather', 1600, 16, 2)  # 2 x 15/16 x 1600 = 3000 bytes
    assert links.seconds(link, [beyond]) == pytest.approx(3000 / 100 + 3000 / 8 / 10)
    passed = Collective('collective-permute', 50, 16, 1)
    assert links.seconds(link, [inside, passed]) == pytest.approx(14 + 5)


def test_without_a_ring_all_takes_twice_as_long():
    link = links.Link(inside=100.0, node=2**30, between=100.0, ring_from=64, peak=1.0)
    each = Collective('all-gather', 800, 8, 1)
    assert links.seconds(link, [each]) == pytest.approx(2 * 7)
    assert links.seconds(link, [each._replace(devices=64)]) == pytest.approx(63 / 64 * 8)
