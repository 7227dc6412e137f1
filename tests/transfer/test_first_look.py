import copy
import json

import jax
import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.transfer import suite
from gair_jax.transfer.features import draw_tiles
from gair_jax.transfer.first_look import Effort, first_look
from gair_jax.transfer.tasks import Sizes, read_tasks
from tests.transfer import labelled

pytestmark = pytest.mark.slow

SMALL = Effort(photos=20, grid=4, sizes=Sizes(24, 8, 16, 6, 3, 6))
PHOTO_FIGURES = (
    'retrieval_at_1', 'retrieval_at_5', 'median_rank', 'retrieval_at_1_pooled',
    'within_tile_at_1', 'within_tile_at_1_pooled', 'place_error_m', 'centre_error_m',
    'shuffled_error_m', 'colour_error_m',
)  # fmt: skip


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return labelled.write(tmp_path_factory.mktemp('labelled'))


@pytest.fixture(scope='module')
def params(config):
    return gair.build(config).init(jax.random.key(0))


@pytest.fixture(scope='module')
def look(config, params):
    return first_look(config, params, effort=SMALL)


def test_every_figure_is_there_and_finite(look):
    summary = look.summary
    assert np.isfinite([summary[name] for name in PHOTO_FIGURES]).all()
    assert summary['n_candidates'] == 20 and summary['xy_uniform']
    assert summary['synthetic'] is True
    assert json.loads(json.dumps(summary)) == summary


def test_every_task_is_probed_with_its_encoder(look):
    probes = look.summary['probes']
    assert {k: v['encoder'] for k, v in probes.items()} == {
        k: v['encoder'] for k, v in labelled.TASKS.items()
    }
    for entry in probes.values():
        assert entry['higher_is_better'] is True
        assert np.isfinite([entry['trained'], entry['random_init']]).all()
    assert {probes[k]['metric'] for k in ('kind', 'scene')} == {'accuracy'}
    assert {probes[k]['metric'] for k in ('shade', 'cover', 'season', 'range')} == {'R2'}
    assert 0 <= probes['scene']['colour_statistics'] <= 1


def test_rows_are_counted_as_the_labels_are_given(look):
    probes = look.summary['probes']
    assert probes['kind']['test_rows'] == 16
    # Said once a tile: the 16 photos drawn come from all 6 test tiles.
    assert probes['range']['test_rows'] == probes['range']['test_groups'] == 6
    # An 8-pixel window has 2 x 2 patches of 4 pixels.
    assert probes['cover']['test_rows'] == 6 * 4


def test_the_same_seed_gives_the_same_figures(config, params, look):
    again = first_look(config, params, effort=SMALL).summary
    for summary in (again, look.summary):
        summary.pop('first_look_seconds', None)
    assert again == look.summary


def test_random_windows_even_where_training_centred_them(config, params, look):
    centred = copy.deepcopy(config)
    centred.input.rs.placement, centred.input.augment = 'centre', False
    found = first_look(centred, params, effort=SMALL).summary
    assert found['place_error_m'] == look.summary['place_error_m']


@pytest.mark.parametrize(
    ('lacking', 'left'),
    [
        (('sv',), {'cover', 'season', 'scene', 'range'}),
        (('location',), {'shade', 'kind', 'cover', 'season', 'scene'}),
    ],
)
def test_what_a_model_lacks_is_left_out_and_said(config, lacking, left):
    part = copy.deepcopy(config)
    for side in lacking:
        getattr(part.model, side).enabled = False
    params = gair.build(part).init(jax.random.key(0))
    summary, evidence = first_look(part, params, effort=SMALL)
    assert set(summary['probes']) == left
    assert ('retrieval_at_1' in summary) == ('sv' not in lacking) == (evidence is not None)
    notes = ' '.join(summary['notes'])
    assert all(f'no encoder {side}' in notes for side in lacking)


def test_without_nili_no_place_is_claimed(config):
    mean = copy.deepcopy(config)
    mean.model.nili.kind = 'mean'
    summary, _ = first_look(mean, gair.build(mean).init(jax.random.key(0)), effort=SMALL)
    assert 'place_error_m' not in summary
    assert summary['retrieval_at_1'] == summary['retrieval_at_1_pooled']


def test_probe_rs_compares_with_several_starts(config, params):
    found = suite.probe_rs(config, {'rs': params['rs']}, random_inits=3, sizes=SMALL.sizes)
    assert set(found) == {'cover', 'season', 'scene'}
    assert len(found['scene']['random_init_each']) == 3


def test_whole_tiles_are_drawn_where_possible(config):
    drawn = draw_tiles(Store(config.data), 'test', 8, seed=0)
    assert np.unique(drawn.tile, return_counts=True)[1].tolist() == [4, 4]


def test_a_task_of_unknown_kind_is_refused():
    entry = {'encoder': 'sv', 'label': 'v', 'on': 'photo', 'kind': 'poem'}
    with pytest.raises(InputError, match='poem'):
        read_tasks({'tasks': {'ode': entry}})
