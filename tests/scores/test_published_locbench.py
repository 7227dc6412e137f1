"""Our scores of the per-sample results that TorchSpatial publishes, beside those of pandas."""

import json

import numpy as np
import pytest

from gair_jax.scores.regression import errors
from gair_jax.scores.species import METRICS, Ranked, hits
from tests.shared import shared

RANKED = (
    'birdsnap_ebird_meta_test', 'birdsnap_orig_meta_test', 'nabirds_ebird_meta_test',
    'inat_2018_val', 'yfcc_test', 'fmow_val',
)  # fmt: skip
TASKS = ('population', 'forest_cover', 'nightlights', 'elevation')


def published(kind):
    return json.loads(shared('data/locbench/metrics.json').read_text())[kind]


def of_set(name):
    """Figures by encoder; some names have two underscores before the split."""
    found = published('classification')
    return next(found[key] for key in found if key.replace('__', '_') == name)


@pytest.mark.parametrize('name', RANKED)
def test_top_1_top_3_and_mrr_of_every_published_encoder(name):
    file = np.load(shared(f'data/locbench/eval_{name}.npz'))
    expected = of_set(name)
    assert len(file['encoders']) >= 7
    for encoder, rank in zip(file['encoders'], file['rank'].astype(np.int64), strict=True):
        own = expected[str(encoder)]
        found = dict(zip(METRICS, hits(rank).mean(axis=0), strict=True))
        assert len(rank) == own['rows']
        assert 100 * found['top1'] == pytest.approx(own['top1'], rel=1e-12), encoder
        assert 100 * found['top3'] == pytest.approx(own['top3'], rel=1e-12), encoder
        assert found['MRR'] == pytest.approx(own['mrr'], rel=1e-12), encoder
        whole = Ranked(np.zeros(len(rank)), rank)
        assert (whole.top(3), whole.mean_reciprocal_rank) == (
            pytest.approx(found['top3']), pytest.approx(found['MRR'])
        )  # fmt: skip


@pytest.mark.parametrize('task', TASKS)
def test_errors_of_every_published_mosaiks_regressor(task):
    file = np.load(shared('data/locbench/eval_mosaiks.npz'))
    expected = published('regression')[f'mosaiks_{task}']
    encoders = sorted({key.split('/')[1] for key in file if key.startswith(f'{task}/')})
    assert len(encoders) == 4
    for encoder in encoders:
        predicted, target = (
            file[f'{task}/{encoder}/{name}'].astype(np.float64)[:, None]
            for name in ('predictions', 'labels')
        )
        found, own = errors(predicted, target), expected[encoder]
        assert len(target) == own['rows']
        # The stored values are float32; the published figures are of the text they came from.
        for name in ('r2', 'mae', 'rmse'):
            assert float(getattr(found, name)[0]) == pytest.approx(own[name], rel=1e-6), encoder
