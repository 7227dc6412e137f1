import json

import numpy as np
import pytest

from tests.parity import weights


def save(path, **arrays):
    meta = {
        'kind': 'k',
        'kwargs': {},
        'seed': 7,
        'param_shapes': {'a.weight': [2, 3], 'norm.weight': [4], 'kept': [2]},
        'ones': ['norm.weight'],
    }
    np.savez(path, meta=np.array(json.dumps(meta)), **arrays)


def test_parameters_are_drawn_by_name_or_stored(tmp_path):
    save(tmp_path / 'c.npz', **{'param/kept': np.ones(2), 'in/x': np.zeros(1), 'out/y': np.ones(1)})
    case = weights.load(tmp_path / 'c.npz')
    # The seed of the case, then the CRC-32 of 'a.weight'.
    drawn = np.random.default_rng([7, 0x50EEC96F]).standard_normal((2, 3)) * 0.02
    np.testing.assert_allclose(case.params['a.weight'], drawn, rtol=1e-6)
    assert abs(case.params['norm.weight'] - 1).max() < 0.2
    np.testing.assert_array_equal(case.params['kept'], 1)
    assert set(case.inputs) == {'x'} and set(case.outputs) == {'y'}


def test_a_file_that_is_no_case_is_named(tmp_path):
    np.savez(tmp_path / 'c.npz', x=np.zeros(1))
    with pytest.raises(ValueError, match='c.npz: not a parity case'):
        weights.load(tmp_path / 'c.npz')
    (tmp_path / 'd.npz').write_bytes(b'PK\x03\x04 truncated')
    with pytest.raises(ValueError, match='d.npz'):
        weights.load(tmp_path / 'd.npz')
