import pytest

from gair_jax.bench import all as every
from gair_jax.bench.verdict import Parts, bound

BASE = Parts(step=1.0, waiting=0.0, compute=0.6, memory=0.4, communication=0.0)


@pytest.mark.parametrize(
    ('changed', 'by', 'words'),
    [
        ({}, 'compute', 'compute 60%, memory 40%'),
        ({'memory': 0.7}, 'memory', 'memory 70%'),
        ({'communication': 0.8}, 'communication', 'communication 80%'),
        ({'waiting': 0.05}, 'input', '5% of the step is waiting'),
        ({'waiting': 0.04}, 'compute', ''),
    ],
)
def test_the_longest_part_bounds_unless_the_step_waits(changed, by, words):
    found = bound(BASE._replace(**changed))
    assert found.by == by and words in found.reason


def test_of_a_whole_run_input_bounds_where_it_is_slower_than_the_step():
    step = {'ours': {'per_second': 100.0}, 'verdict': {'by': 'memory', 'reason': 'so it is'}}
    assert every.verdict(step, None).by == 'memory'
    slow = {'triples_per_second': 90.0, 'verdict': 'bound by the CPU'}
    assert every.verdict(step, slow).by == 'input'
    fast = every.verdict(step, {**slow, 'triples_per_second': 250.0})
    assert fast.by == 'memory' and '2.5 times' in fast.reason
