import concurrent.futures
import heapq
import random
import threading

import pytest

from gair_jax.builders.streetscapes import photos_limiter
from gair_jax.builders.streetscapes.photos_limiter import BURST, CLIMB, FIRST_PAUSE, Bucket
from gair_jax.config import InputError


class Clock:
    def __init__(self):
        self.now = 1.7e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bucket(tmp_path, clock):
    with Bucket(tmp_path / 'host.bucket', 100.0, clock) as opened:
        yield opened


def drain(buckets, clock, seconds):
    """How many tokens are to be had in this time by those who always want one."""
    taken, end = 0, clock.now + seconds
    while clock.now < end:
        waits = [bucket.take() for bucket in buckets]
        taken += waits.count(0.0)
        if all(waits):
            clock.now += min(waits)
    return taken


@pytest.mark.parametrize('sharers', [1, 4])
def test_tokens_come_at_the_rate_however_many_share_it(tmp_path, clock, sharers):
    """Each opens the file anew, as processes do: `flock` is between open files."""
    buckets = [Bucket(tmp_path / 'b', 100.0, clock) for _ in range(sharers)]
    # Rate x time, and never more than a burst beside it.
    assert 0.99 * 1000 <= drain(buckets, clock, 10.0) <= 1000 + 100 * BURST
    for bucket in buckets:
        bucket.__exit__(None, None, None)


def test_what_is_not_taken_does_not_pile_up(bucket, clock):
    bucket.take()
    clock.now += 3600
    waits = [bucket.take() for _ in range(20)]
    assert waits.count(0.0) == 100 * BURST


def test_a_refusal_pauses_all_and_halves_the_rate(tmp_path, clock, bucket):
    with Bucket(tmp_path / 'host.bucket', 100.0, clock) as other:
        drain([bucket], clock, 1.0)
        bucket.refused(clock.now, 7.0, 0.3)
        assert other.take() == pytest.approx(7.0)
        clock.now += 7.0
        assert other.rate() == pytest.approx(50.0)
        # From 50 to 50 + 100 (1 - (29.5 / 30)^5) / 2 = 54 a second in half a second.
        assert drain([bucket, other], clock, 0.5) == pytest.approx(26, abs=1)


@pytest.mark.parametrize('share', [0.0, 0.25, 0.5, 1.0, 1.2])
def test_the_rate_climbs_back_by_the_formula_of_the_module(tmp_path, clock, share):
    # Asked for more than it was ever given: the ceiling is another test's.
    with Bucket(tmp_path / 'b', 100.0, clock) as bucket:
        bucket.refused(clock.now, 1.0, 0.0)
        clock.now += 2.0 + CLIMB  # at 100 again
        bucket.refused(clock.now, 1.0, 0.0)
        level = bucket._change(lambda state, now: (state, state.level))
        clock.now += 1.0 + share * CLIMB
        assert bucket.rate() == pytest.approx(min(100, level * (1 + (share - 1) ** 5 / 2)))


def test_the_rate_never_exceeds_what_is_configured(bucket, clock):
    bucket.refused(clock.now, 1.0, 0.0)
    clock.now += 100 * CLIMB
    assert bucket.rate() == 100.0


def test_refusals_of_requests_sent_before_the_cut_do_not_halve_again(bucket, clock):
    sent = clock.now
    clock.now += 0.1
    for _ in range(32):  # all connections come back with the same news
        bucket.refused(sent, 0.0, 0.0)
    clock.now += 1.0
    assert 50 <= bucket.rate() < 60
    bucket.refused(clock.now, 0.0, 0.0)
    assert 25 <= bucket.rate() < 30


def test_pauses_double_until_an_answer_comes(bucket, clock):
    pauses = []
    for _ in range(4):
        bucket.refused(clock.now, 0.0, 1.0)
        pauses.append(bucket.take())
        clock.now += pauses[-1] + 0.001
    assert pauses == pytest.approx([FIRST_PAUSE * 2**n for n in range(4)])
    bucket.answered()
    bucket.refused(clock.now, 0.0, 1.0)
    assert bucket.take() == pytest.approx(FIRST_PAUSE)


def test_jitter_spreads_pauses_over_their_upper_half(tmp_path, clock):
    pauses = []
    for jitter in (0.0, 0.5, 1.0):
        with Bucket(tmp_path / str(jitter), 100.0, clock) as bucket:
            bucket.refused(clock.now, 0.0, jitter)
            pauses.append(bucket.take())
    assert pauses == pytest.approx([FIRST_PAUSE / 2, FIRST_PAUSE * 0.75, FIRST_PAUSE])


def test_no_pause_is_longer_than_the_longest(bucket, clock):
    bucket.refused(clock.now, 1e9, 0.0)
    assert bucket.take() == photos_limiter.LONGEST


def test_a_clock_that_was_set_back_does_not_stop_everything(bucket, clock):
    bucket.refused(clock.now, 60.0, 0.0)
    clock.now -= 3e7
    assert drain([bucket], clock, 2.0) >= 90  # from half the rate, as after a cut


def test_a_file_that_is_cut_off_is_an_empty_bucket(tmp_path, clock):
    (tmp_path / 'b').write_bytes(b'123')
    with Bucket(tmp_path / 'b', 100.0, clock) as bucket:
        assert drain([bucket], clock, 1.0) >= 99


def test_hosts_have_files_of_their_own(tmp_path):
    paths = {photos_limiter.path_of(tmp_path, host) for host in ('a.org', 'b.org', 'a.org:80')}
    assert len(paths) == 3 and all(path.parent == tmp_path for path in paths)
    assert photos_limiter.path_of(tmp_path, '../x').parent == tmp_path


def test_a_bucket_that_cannot_be_opened_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(InputError, match='file/host.bucket: cannot be opened: '):
        Bucket(tmp_path / 'file' / 'host.bucket', 1.0)


def against_a_service(path, rate, limit, seconds, retry_after, connections=32):
    """(answers a second, refusals) of a client that asks a service with a bucket of its own.

    Time is a number here. The service answers after about 50 ms, and lets a tenth of a second's
    worth of requests pile up.
    """
    clock, draw = Clock(), random.Random(0)
    tokens, filled, flying, answers, refusals, count = 0.0, clock.now, [], 0, 0, 0
    end = clock.now + seconds
    with Bucket(path, rate, clock) as bucket:
        while clock.now < end:
            wait = bucket.take() if len(flying) < connections else 1e9
            if not wait:
                tokens = min(limit / 10, tokens + (clock.now - filled) * limit)
                good, filled, count = tokens >= 1, clock.now, count + 1
                tokens -= good
                heapq.heappush(
                    flying, (clock.now + draw.uniform(0.025, 0.075), count, filled, good)
                )
            elif flying and flying[0][0] <= clock.now + wait:
                clock.now, _, sent, good = heapq.heappop(flying)
                answers, refusals = answers + good, refusals + (not good)
                bucket.answered() if good else bucket.refused(sent, retry_after, draw.random())
            else:
                clock.now += wait
    return answers / seconds, refusals


@pytest.mark.parametrize('retry_after', [0.0, 1.0])
@pytest.mark.parametrize('limit', [50.0, 150.0])
def test_a_bucket_three_times_too_high_reaches_80_per_cent_of_the_limit(
    tmp_path, limit, retry_after
):
    reached, refusals = against_a_service(tmp_path / 'b', 3 * limit, limit, 120.0, retry_after)
    assert reached >= 0.8 * limit
    assert refusals < 0.01 * reached * 120  # and it learns: not one request in a hundred


def test_a_bucket_below_the_limit_is_never_refused(tmp_path):
    reached, refusals = against_a_service(tmp_path / 'b', 140.0, 150.0, 30.0, 0.0)
    assert not refusals and reached >= 0.95 * 140


def test_no_token_is_given_out_twice(tmp_path, clock):
    """Threads with a file of their own each meet as processes do; the clock stands still."""
    rate, gate = 20000.0, threading.Barrier(4)

    def take_all(number):
        taken = 0
        with Bucket(tmp_path / 'b', rate, clock) as bucket:
            gate.wait()
            while not bucket.take():
                taken += 1
        return taken

    with Bucket(tmp_path / 'b', rate, clock) as bucket:
        bucket.take()
    clock.now += 3600
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take_all, range(4))) == rate * BURST
