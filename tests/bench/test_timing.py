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
