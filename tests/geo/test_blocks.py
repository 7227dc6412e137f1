import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.geo.blocks import degree_blocks, spatial_blocks
from gair_jax.geo.sphere import great_circle_m


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def same(groups):
    return groups[:, None] == groups[None]


def test_a_block_of_km_is_no_wider_than_its_diagonal(rng):
    """A cell is at most 1.5 sides wide at its middle, as columns are rounded to a whole number."""
    lonlat = np.stack([rng.uniform(-1, 1, 300), rng.uniform(50, 52, 300)], axis=-1)
    groups = spatial_blocks(lonlat, 20)
    apart = great_circle_m(lonlat[:, None], lonlat[None]) / 1000
    assert apart[same(groups)].max() < 1.01 * np.hypot(20, 20)
    assert 0.5 < len(np.unique(groups)) / (222.4 * 140 / 400) < 1.2


def test_blocks_are_not_cut_twice_at_the_date_line():
    both = np.array([[180.0, 10.0], [-180.0, 10.0]])
    assert spatial_blocks(both, 50).tolist() == degree_blocks(both, 2.0).tolist() == [0, 0]


def test_blocks_of_degrees_are_cells_of_the_grid():
    lonlat = np.array([[0.1, 0.1], [1.9, 1.9], [2.1, 0.1], [0.2, -0.1]])
    groups = degree_blocks(lonlat, 2.0)
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(same(groups), np.array(expected, bool))


@pytest.mark.parametrize('blocks', [degree_blocks, spatial_blocks])
def test_a_side_of_nothing_and_a_lonlat_out_of_range_are_refused(blocks):
    with pytest.raises(InputError, match='block side'):
        blocks(np.zeros((1, 2)), 0.0)
    with pytest.raises(InputError, match='lonlat'):
        blocks(np.array([[0.0, 91.0]]), 1.0)
