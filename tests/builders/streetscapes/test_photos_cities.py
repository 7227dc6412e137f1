import hypothesis
import pytest
from hypothesis import strategies as st

from gair_jax.builders.streetscapes.photos_cities import Cities
from tests.builders.streetscapes import photo_plans


def settle_all(table, lost, workers, draw):
    """What is kept when answers arrive in an order that `draw` chooses."""
    kept, asked = set(), set()
    for worker in range(workers):
        cities = Cities(table, worker, workers)
        flying = cities.wanted(lambda key: 'todo')
        while flying:
            key = flying.pop(draw(len(flying)))
            asked.add(key)
            if not lost(key):
                kept.add(key)
            elif new := cities.replacement(key):
                flying.append(new)
    return kept, asked


@hypothesis.given(
    st.integers(1, 40), st.integers(1, 5), st.integers(0, 12), st.integers(1, 4),
    st.sets(st.integers(0, 39)), st.data(),
)  # fmt: skip
@hypothesis.settings(max_examples=40)
def test_the_kept_are_the_first_n_that_are_there(count, cities, need, workers, gone, data):
    table = photo_plans.plan(count, cities=cities, need=need)
    lost_keys = {f'mapillary:{7000 + number}' for number in gone}
    kept, asked = settle_all(
        table, lost_keys.__contains__, workers, lambda n: data.draw(st.integers(0, n - 1))
    )
    assert kept == photo_plans.expected(table, lost_keys.__contains__)
    # And no photo was asked for that is not kept, but those that were lost before one that is.
    assert asked - kept <= lost_keys


def test_what_was_lost_before_is_not_wanted_again_but_replaced():
    table = photo_plans.plan(20, cities=1, need=5)
    order = list(table['key'])
    states = {order[0]: 'gone', order[3]: 'dropped', order[4]: 'failed', order[1]: 'kept'}
    cities = Cities(table, 0, 1)
    wanted = cities.wanted(lambda key: states.get(key, 'todo'))
    assert wanted == order[:7]  # Two more; the failed one keeps its room.
    assert cities.replacement(order[2]) == order[7]


def test_the_reserve_ends():
    table = photo_plans.plan(3, cities=1, need=2)
    cities = Cities(table, 0, 1)
    first = cities.wanted(lambda key: 'todo')[0]
    assert cities.replacement(first) == table['key'].iloc[2]
    assert cities.replacement(first) == ''


@pytest.mark.parametrize('workers', [1, 2, 4])
def test_workers_share_all_photos_and_no_city(workers):
    table = photo_plans.plan(200, cities=20, need=6)
    shares = [set(Cities(table, worker, workers)) for worker in range(workers)]
    assert sum(map(len, shares)) == 200 and set.union(*shares) == set(table['key'])
    city = dict(zip(table['key'], table['city_id'], strict=True))
    for worker, share in enumerate(shares):
        others = set().union(*(other for place, other in enumerate(shares) if place != worker))
        assert not {city[key] for key in share} & {city[key] for key in others}


def test_cities_without_reserve_are_shared_photo_by_photo():
    table = photo_plans.plan(200, cities=1)
    assert min(len(set(Cities(table, worker, 4))) for worker in range(4)) > 25


def test_the_plan_says_what_is_reserve_whatever_its_order():
    """Thinning can plan a photo that comes later in the order than one in reserve."""
    table = photo_plans.plan(6, cities=1, need=3)
    table['reserve'] = [True, False, False, True, False, True]
    cities, order = Cities(table, 0, 1), list(table['key'])
    assert cities.wanted(lambda key: 'todo') == [order[1], order[2], order[4]]
    assert [cities.replacement(order[1]) for _ in range(3)] == [order[0], order[3], order[5]]
