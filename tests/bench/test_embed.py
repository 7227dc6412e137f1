import copy

import pytest

from gair_jax.bench import embed
from tests.models import small
from tests.shared import shared

pytestmark = pytest.mark.slow


@pytest.fixture
def small_sizes(monkeypatch):
    monkeypatch.setattr(embed.peers, 'config', lambda dtype: typed(small.config(), dtype))
    monkeypatch.setattr(embed, 'PRODUCT_FLOPS', 1)


def test_the_faster_type_is_reported_and_all_are_listed(small_sizes):
    found = embed.bench(embed.Sizes(batch=2), 2, '')
    seconds = {name: side['seconds'] for name, side in found['sides'].items()}
    assert set(seconds) == {'ours float32', 'ours bfloat16'}
    assert found['ours']['seconds'] == min(seconds.values()) == seconds[f'ours {found["dtype"]}']
    assert found['ratio'] is None
    assert found['dtype'] in embed.table(found)


def test_one_type_alone(small_sizes):
    found = embed.bench(embed.Sizes(batch=2, dtype='bfloat16'), 1, '')
    assert list(found['sides']) == ['ours bfloat16'] and found['dtype'] == 'bfloat16'


def typed(config, dtype):
    made = copy.deepcopy(config)
    made.model.dtype = dtype
    return made


@pytest.mark.slow
def test_the_numbers_of_the_shared_peer():
    pytest.importorskip('torch')
    path = shared('peers/torch_gair.py')
    found = embed.bench(embed.Sizes(batch=2, dtype='float32'), 1, str(path))
    assert set(found['sides']) == {'ours float32', 'peer float32', 'peer bfloat16'}
    assert 0 < found['max_difference'] < 1e-4  # sigma 256 multiplies rounding of places
    assert found['flops']['compiled'] == pytest.approx(found['flops']['from_sizes'], rel=0.03)
