import dataclasses

import jax
import pytest

from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.report import transfer as report
from gair_jax.transfer import benchmark, feature_cache
from gair_jax.transfer.point_features import sides_of
from gair_jax.transfer.settings import TransferConfig
from tests.transfer import labelled

FEATURES = ('sv', 'sv+rs+location')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A prepared data set, the config of a model for it, and its parameters."""
    config = labelled.write(tmp_path_factory.mktemp('data'))
    return config, gair.build(config).init(jax.random.key(0))


def _evaluate(made, cache, **settings):
    config, params = made
    given = TransferConfig(data=dataclasses.replace(config.data), seeds=1, **settings)
    return benchmark.evaluate(given, dataclasses.replace(config), params, str(cache))


@pytest.fixture(scope='module')
def entries(made, tmp_path_factory):
    cache = tmp_path_factory.mktemp('cache')
    return _evaluate(made, cache, features=FEATURES, shares=(0.5, 1.0))


def test_every_task_of_points_is_probed_with_every_feature_and_share(entries):
    found = [(e['task'], e['features'], e['share']) for e in entries]
    tasks = [name for name, task in labelled.TASKS.items() if task['kind'] != 'mask']
    assert len(found) == len(set(found)) == len(tasks) * len(FEATURES) * 2
    assert {task for task, *_ in found} == set(tasks)
    assert {(e['task'], e['metric']) for e in entries} >= {('shade', 'R2'), ('kind', 'accuracy')}


def test_all_features_of_a_task_are_scored_on_the_same_rows(entries):
    for task in {entry['task'] for entry in entries}:
        own = [entry for entry in entries if entry['task'] == task]
        assert len({entry['test_rows'] for entry in own}) == 1
        assert len({entry['floor'] for entry in own}) == 1


def test_a_share_fits_fewer_rows(entries):
    rows = {(e['task'], e['share']): e['train_rows'] for e in entries}
    assert rows['kind', 1.0] == 32
    assert rows['kind', 0.5] == pytest.approx(16, abs=2)  # each of four classes is rounded


def test_features_are_read_once_and_serve_no_other_parameters(made, tmp_path, monkeypatch):
    first = _evaluate(made, tmp_path, features=('location',))
    passes = []
    extend = feature_cache.FeatureCache._extend

    def counted(self, *given):
        passes.append(given[0])
        extend(self, *given)

    monkeypatch.setattr(feature_cache.FeatureCache, '_extend', counted)
    assert _evaluate(made, tmp_path, features=('location',)) == first
    assert not passes
    config, params = made
    moved = jax.tree.map(lambda leaf: leaf * 1.5, params)
    other = _evaluate((config, moved), tmp_path, features=('location',))
    assert len(passes) == 3  # a split each
    assert other[0]['trained'] != first[0]['trained']
    assert other[0]['random_init'] == first[0]['random_init']


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'features': ('sv+lidar',)}, r"features: expected .* found 'sv\+lidar'"),
        ({'features': ('sv+sv',)}, r"features: expected .* found 'sv\+sv'"),
        ({'features': ()}, 'features and shares: expected at least one of each'),
        ({'shares': (0.0,)}, 'shares: expected more than 0 and at most 1, found 0.0'),
        ({'shares': (1.5,)}, 'shares: expected more than 0 and at most 1, found 1.5'),
        ({'tasks': ('cover',)}, "tasks: toy has shade, kind, scene, range .* found 'cover'"),
    ],
)
def test_settings_that_cannot_be_used(made, tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        _evaluate(made, tmp_path, **settings)


def test_an_encoder_that_the_checkpoint_lacks(made, tmp_path):
    config, params = made
    blind = {name: tree for name, tree in params.items() if name != 'sv'}
    with pytest.raises(InputError, match="this checkpoint has no encoder 'sv'"):
        _evaluate((config, blind), tmp_path, features=('sv',))


def test_sides_of_joined_features():
    assert sides_of('sv+location') == ('sv', 'location')


def test_the_report_writes_table_and_picture(entries, tmp_path, capsys):
    report.write_table(entries, tmp_path / 'results.csv')
    lines = (tmp_path / 'results.csv').read_text().splitlines()
    assert len(lines) == 1 + len(entries)
    assert len({line.count(',') for line in lines}) == 1
    report.draw(entries, tmp_path / 'scores.png', 'toy')
    assert (tmp_path / 'scores.png').read_bytes()[:4] == b'\x89PNG'
    report.print_table(entries)
    assert 'sv+rs+location' in capsys.readouterr().out
