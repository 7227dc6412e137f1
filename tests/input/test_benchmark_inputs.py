import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input import benchmark_inputs as inputs
from gair_jax.train import schedules

STORED = inputs.Stored(bands=('B2', 'B4', 'B8A'), mean=(10.0, 20.0, 30.0), std=(2.0, 4.0, 5.0))


def test_bands_go_by_name_and_missing_ones_are_zero():
    values = np.array([[12, 16, 40]], np.uint16)
    found = inputs.prepare(values, STORED, ('B04', 'B03', 'B8A', 'B02'))
    np.testing.assert_array_equal(found, np.array([[-1, 0, 2, 1]], np.float32))
    assert found.dtype == np.float32


def test_the_scaling_of_gair():
    values = np.array([[10, 24, -20]], np.float32)  # z = 0, 1, -10
    found = inputs.prepare(values, STORED, ('B02', 'B04', 'B8A', 'B03'), scaling='gair')
    np.testing.assert_array_equal(found, np.array([[0.5, 0.75, 0, 0.5]], np.float32))
    cut = inputs.prepare(values, STORED, ('B02', 'B04'), scaling='gair', levels=True)
    np.testing.assert_allclose(cut, [[127 / 255, 191 / 255]], rtol=1e-6)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'values': np.zeros((1, 2))}, 'values: expected 3 bands, found 2'),
        ({'bands': ('B11', 'B12')}, "bands: expected one of the encoder's, B11, B12, found B2"),
        ({'scaling': 'minmax'}, "scaling: expected z_score or gair, found 'minmax'"),
        ({'levels': True}, "levels: expected scaling 'gair', found 'z_score'"),
    ],
)
def test_input_that_cannot_be_used(given, said):
    known = {'values': np.zeros((1, 3)), 'bands': ('B02',), 'scaling': 'z_score', 'levels': False}
    values = known | given
    with pytest.raises(InputError, match=said):
        inputs.prepare(values.pop('values'), STORED, values.pop('bands'), **values)


def test_statistics_that_do_not_fit():
    with pytest.raises(InputError, match=r'std: expected values above 0, found 0\.0'):
        inputs.Stored(bands=('B02',), mean=(1.0,), std=(0.0,))
    with pytest.raises(InputError, match='expected a mean and std for each of 1 bands'):
        inputs.Stored(bands=('B02',), mean=(1.0, 2.0), std=(1.0,))


def test_the_rate_falls_at_both_milestones():
    # Burn scars: 60 steps an epoch, 80 epochs; milestones 2 880 and 4 320 (the specification).
    rate = schedules.multistep(1e-4, 4800)
    found = [float(rate(step)) for step in (0, 2879, 2880, 4319, 4320, 4799)]
    np.testing.assert_allclose(found, [1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6], rtol=1e-6)
