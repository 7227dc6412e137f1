import numpy as np
import pytest

from gair_jax.models import positions


def test_slopes_of_a_power_of_two_are_halved_steps():
    np.testing.assert_allclose(positions.alibi_slopes(8), 2.0 ** -np.arange(1, 9))


def test_slopes_of_twelve_heads_interleave():
    # ALiBi for 12 heads: 2^-1..2^-8, then 2^-0.5, 2^-1.5, 2^-2.5, 2^-3.5.
    expected = 2.0 ** -np.array([1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(positions.alibi_slopes(12), expected)


def test_bias_is_minus_the_distance_times_the_slope():
    bias = positions.alibi_bias(4, 6, 8)
    assert bias.shape == (8, 24, 24)
    # From row 0, column 0 to row 3, column 4: distance 5; the first slope is 1/2.
    assert bias[0, 0, 3 * 6 + 4] == -2.5
    np.testing.assert_array_equal(bias, bias.transpose(0, 2, 1))
    assert not np.diagonal(bias, axis1=1, axis2=2).any()


def test_table_holds_x_in_the_first_half_and_y_in_the_second():
    table = positions.sincos_table(3, 5, 8).reshape(3, 5, 8)
    np.testing.assert_allclose(table[2, 4], [*_half(4), *_half(2)], atol=1e-7)
    np.testing.assert_array_equal(table[0, :, :4], table[2, :, :4])


@pytest.mark.parametrize('place', [(0.0, 0.0), (1.25, 3.5)])
def test_continuous_positions_agree_with_the_table_s_rule(place):
    np.testing.assert_allclose(
        positions.sincos(np.array(place), 8), [*_half(place[0]), *_half(place[1])]
    )


def _half(at):
    return [np.sin(at), np.sin(at / 100), np.cos(at), np.cos(at / 100)]
