from gair_jax.bench import timing


def test_calls_take_turns_after_a_warm_up_that_is_not_counted():
    said, clock = [], iter([0, 1, 10, 13, 20, 25, 30, 37, 40, 42, 50, 59])
    calls = {name: lambda name=name: said.append(name) for name in ('ours', 'peer')}
    cpu = iter([0, 2, 10, 11, 20, 23, 30, 32, 40, 41, 50, 59])
    found = timing.in_turn(calls, 3, clock=lambda: next(clock), cpu_clock=lambda: next(cpu))
    assert said == ['ours', 'peer'] * 4
    assert found['ours'].seconds == (1, 5, 2) and found['peer'].seconds == (3, 7, 9)
    assert found['ours'].median == 2 and found['peer'].median == 7
    assert found['ours'].cpu == (2, 3, 1) and found['ours'].cpu_median == 2
    assert found['peer'].cpu_median == 2


def test_calls_together_follow_one_that_is_not_counted():
    said = []
    calls = {name: lambda name=name: said.append(name) for name in ('ours', 'peer')}
    clock = iter(range(100))
    found = timing.in_turn(calls, 5, 3, clock=lambda: next(clock), cpu_clock=lambda: 0)
    # A warm-up each, turns of 1 + 3, and one of 1 + 2 as no more than 5 are counted.
    assert said == ['ours', 'peer', *['ours'] * 4, *['peer'] * 4, *['ours'] * 3, *['peer'] * 3]
    assert found['ours'].seconds == found['peer'].seconds == (1,) * 5
