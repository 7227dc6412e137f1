import collections
import hashlib

import pytest

from gair_jax.builders.streetscapes import keys


def test_the_order_is_the_documented_hash():
    digest = hashlib.blake2b(b'7:mapillary:123', digest_size=8).hexdigest()
    assert keys.order(7, 'mapillary:123') == int(digest, 16)


def test_the_order_of_a_photo_depends_on_seed_and_key_alone():
    some = [f'mapillary:{i}' for i in range(200)]
    ranked = sorted(some, key=lambda key: keys.order(0, key))
    kept = set(some[::3])
    assert [k for k in ranked if k in kept] == sorted(kept, key=lambda key: keys.order(0, key))
    assert ranked != some and ranked != sorted(some, key=lambda key: keys.order(1, key))


def test_places_in_the_order_are_spread_over_64_bits():
    shares = [keys.order(0, str(i)) / 2**64 for i in range(2000)]
    # The mean of 2000 uniform numbers is 0.5 +- 0.0065; five deviations are let pass.
    assert abs(sum(shares) / 2000 - 0.5) < 0.033 and max(shares) < 1


@pytest.mark.parametrize('workers', [1, 2, 7])
def test_every_key_has_one_worker_and_shares_are_even(workers):
    counts = collections.Counter(keys.worker_of(f'k{i}', workers) for i in range(7000))
    assert set(counts) == set(range(workers))
    even = 7000 / workers
    assert all(abs(count - even) < 5 * even**0.5 + 1 for count in counts.values())


def test_the_share_of_a_worker_is_not_a_stretch_of_the_order():
    """Else the first worker would hold all the photos that are taken first."""
    some = sorted((f'k{i}' for i in range(1000)), key=lambda key: keys.order(0, key))
    first = sum(keys.worker_of(key, 2) for key in some[:500])
    assert 170 < first < 330
