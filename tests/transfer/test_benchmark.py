import dataclasses

import jax
import numpy as np
import pytest
from sklearn.metrics import r2_score

from gair_jax.config import InputError
from gair_jax.input.store import Store
from gair_jax.models import gair
from gair_jax.scores.intervals import bootstrap
from gair_jax.transfer import benchmark, feature_cache, probes
from gair_jax.transfer.point_features import sides_of
from gair_jax.transfer.scoring import metrics_of
from gair_jax.transfer.settings import NonlinearConfig, TransferConfig
from tests.transfer import labelled

FEATURES = ('sv', 'sv+rs+location')


@pytest.fixture(scope='module', autouse=True)
def by_rule():
    with labelled.drawn_by_rule():
        yield


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A prepared data set, the config of a model for it, and its parameters."""
    config = labelled.write(tmp_path_factory.mktemp('data'))
    return config, gair.build(config).init(jax.random.key(0))


def _evaluate(made, cache, **settings):
    config, params = made
    given = TransferConfig(data=dataclasses.replace(config.data), **{'seeds': 1, **settings})
    return benchmark.evaluate(given, dataclasses.replace(config), params, str(cache))


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def found(made, cache):
    return _evaluate(made, cache, features=FEATURES, shares=(0.5, 1.0), per_class=(2,))


@pytest.fixture(scope='module')
def entries(found):
    return found.entries


def test_every_task_of_points_is_probed_with_every_feature_and_number_of_labels(entries):
    found = [(e['task'], e['features'], e['labels']) for e in entries]
    tasks = [name for name, task in labelled.TASKS.items() if task['kind'] != 'mask']
    assert len(found) == len(set(found)) == len(tasks) * len(FEATURES) * 3
    assert {task for task, *_ in found} == set(tasks)
    assert {(e['task'], e['metric']) for e in entries} >= {('shade', 'R2'), ('kind', 'accuracy')}


def test_all_features_of_a_task_are_scored_on_the_same_rows(entries):
    for task, labels in {(entry['task'], entry['labels']) for entry in entries}:
        own = [e for e in entries if (e['task'], e['labels']) == (task, labels)]
        for name in ('test_rows', 'floor', 'nearest'):
            assert len({entry[name] for entry in own}) == 1


def test_every_entry_carries_all_scores_of_its_kind_and_of_its_floors(entries):
    for entry in entries:
        assert set(entry['scores']) == {'trained', 'random_init', 'floor', 'nearest'}
        count = 4 if entry['kind'] == 'class' else 3
        metrics = metrics_of(entry['kind'], count)
        for which, scores in entry['scores'].items():
            assert scores[entry['metric']] == pytest.approx(entry[which])
            assert set(scores['intervals']) == set(metrics)
            assert set(scores['f1' if entry['kind'] == 'class' else 'each']) == (
                set(labelled.FOUR) if entry['kind'] == 'class' else {'0', '1', '2'}
            )


def test_the_floors_are_those_of_the_rows(made, entries):
    """By hand from the stored labels: the mean of all training rows, and the nearest of them."""
    splits = _stored(made[0])
    entry = next(e for e in entries if e['task'] == 'shade' and e['labels'] == '100%')
    (_, train), (lonlat, test) = splits['train'], splits['test']
    assert entry['floor'] == pytest.approx(r2_score(test, np.tile(train.mean(axis=0), (24, 1))))
    places = splits['train'][0]
    scale = [np.cos(np.deg2rad(lonlat[0, 1])), 1]  # of the same few km everywhere
    apart = np.linalg.norm((lonlat[:, None] - places[None]) * scale, axis=-1)
    assert entry['nearest'] == pytest.approx(r2_score(test, train[apart.argmin(axis=1)]))


def _stored(config):
    """(lonlat, values) of each split, as the data set holds them."""
    store = Store(config.data)
    photos = {s: [store.photos(s)[i] for i in range(n)] for s, n in store.splits.items()}
    return {
        s: tuple(
            np.stack(v).astype(np.float64)
            for v in zip(*((p.lonlat, p.labels['v']) for p in own), strict=True)
        )
        for s, own in photos.items()
    }


def test_intervals_are_drawn_over_tiles_or_over_blocks(made, cache):
    by_tile, by_block = (
        _evaluate(made, cache, features=('location',), tasks=('shade',), block_km=km).entries[0]
        for km in (0.0, 2000.0)
    )
    assert by_tile['test_groups'] == 6 and by_block['test_groups'] < 6
    assert by_tile['trained'] == pytest.approx(by_block['trained'])
    assert by_tile['trained_interval'] != by_block['trained_interval']


def test_another_metric_is_the_main_one(made, cache):
    (entry,) = _evaluate(
        made, cache, features=('location',), tasks=('shade',), metric='MAE'
    ).entries
    assert entry['metric'] == 'MAE' and not entry['higher_is_better']
    assert entry['trained'] == entry['scores']['trained']['MAE']
    (entry,) = _evaluate(
        made, cache, features=('location',), tasks=('kind',), metric='macro_f1'
    ).entries
    assert entry['trained'] == entry['scores']['trained']['macro_f1']


def test_tasks_of_the_kinds_asked_for_are_probed(made, cache):
    found = _evaluate(made, cache, features=('location',), kinds=('class',)).entries
    assert {entry['kind'] for entry in found} == {'class'} and len(found) == 2
    with pytest.raises(InputError, match="tasks: for linear, .* has kind, scene, found 'shade'"):
        _evaluate(made, cache, features=('location',), kinds=('class',), tasks=('shade',))


def test_both_protocols_stand_side_by_side(made, cache):
    few = NonlinearConfig(epochs=2, seeds=2)
    both = ('linear', 'nonlinear')
    linear, nonlinear = _evaluate(
        made, cache, features=('sv',), tasks=('shade',), protocols=both, nonlinear=few
    ).entries
    assert (linear['protocol'], nonlinear['protocol']) == both
    assert (len(linear['trained_each']), len(nonlinear['trained_each'])) == (1, 2)
    assert linear['floor'] == nonlinear['floor'] and linear['trained'] != nonlinear['trained']


def test_joined_features_are_compared_with_the_sides_that_were_probed(found):
    for entry in found.entries:
        expected = {'sv'} if entry['features'] != 'sv' else set()
        assert set(entry.get('gain_over', {})) == expected
    joined, alone = (
        next(e for e in found.entries if (e['task'], e['features']) == ('shade', name))
        for name in reversed(FEATURES)
    )
    value = joined['gain_over']['sv'][1]
    assert value == pytest.approx(joined['trained'] - alone['trained'])
    assert {line['labels'] for line in found.fusion} == {'50%', '100%', '2 a class'}
    assert all(line['tasks'] == ['shade', 'range'] for line in found.fusion)


def test_the_interval_is_that_of_a_plain_bootstrap_over_tiles(made, cache, monkeypatch):
    kept = []
    predictions = probes.predictions

    def noted(splits, subsets):
        kept.append((splits.test, predictions(splits, subsets)))
        return kept[-1][1]

    monkeypatch.setattr(probes, 'predictions', noted)
    (entry,) = _evaluate(made, cache, features=('location',), tasks=('shade',)).entries
    test, (answer,) = kept[0]
    expected = bootstrap(lambda rows: r2_score(test.targets[rows], answer[rows]), test.groups)
    assert entry['trained_interval'] == pytest.approx(list(expected))


def test_few_labels_are_a_share_or_so_many_of_each_class(entries):
    rows = {(e['task'], e['labels']): e['train_rows'] for e in entries}
    assert rows['kind', '100%'] == 32
    assert rows['kind', '50%'] == pytest.approx(16, abs=2)  # each of four classes is rounded
    assert rows['kind', '2 a class'] == 2 * 4
    assert rows['range', '2 a class'] == rows['shade', '2 a class'] == 2  # several numbers a row


@pytest.mark.slow
def test_features_are_read_once_and_serve_no_other_parameters(made, tmp_path, monkeypatch):
    first = _evaluate(made, tmp_path, features=('location',))
    passes = []
    extend = feature_cache.FeatureCache._extend

    def counted(self, *given):
        passes.append(given[0])
        extend(self, *given)

    monkeypatch.setattr(feature_cache.FeatureCache, '_extend', counted)
    again = _evaluate(made, tmp_path, features=('location',))
    assert (again.entries, again.fusion) == (first.entries, first.fusion)
    assert not passes
    config, params = made
    moved = jax.tree.map(lambda leaf: leaf * 1.5, params)
    other = _evaluate((config, moved), tmp_path, features=('location',))
    assert len(passes) == 3  # a split each
    assert other.entries[0]['trained'] != first.entries[0]['trained']
    assert other.entries[0]['random_init'] == first.entries[0]['random_init']


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'features': ('sv+lidar',)}, r"features: expected .* found 'sv\+lidar'"),
        ({'features': ('sv+sv',)}, r"features: expected .* found 'sv\+sv'"),
        ({'features': ('sv', 'sv')}, "features: expected each once, found 'sv' twice"),
        ({'features': ()}, 'features: expected at least one, found none'),
        (
            {'kinds': ('mask', 'point')},
            "kinds: expected class or regression or mask, found 'point'",
        ),
        ({'kinds': ()}, 'kinds: expected at least one, found none'),
        ({'protocols': ()}, 'protocols: expected at least one, found none'),
        (
            {'protocols': ('deep',)},
            'protocols: expected linear or nonlinear or frozen or full, found',
        ),
        ({'shares': ()}, 'shares: expected at least one, found none'),
        ({'shares': (0.0,)}, 'shares: expected more than 0 and at most 1, found 0.0'),
        ({'shares': (1.5,)}, 'shares: expected more than 0 and at most 1, found 1.5'),
        ({'shares': (float('nan'),)}, 'shares: expected more than 0 and at most 1, found nan'),
        ({'per_class': (0,)}, 'per_class: expected 1 or more, found 0'),
        ({'per_class': (99,)}, r'class 0: expected 1\.\.\d+ rows, found 99 asked'),
        ({'seeds': 0}, 'seeds: expected 1 or more, found 0'),
        ({'test_rows': -1}, 'test_rows: expected 0 or more, found -1'),
        ({'block_km': -1.0}, 'block_km: expected 0 or more, found -1.0'),
        ({'block_km': 1e6}, 'block side: expected more than 0 and at most .* km, found 1000000.0'),
        ({'metric': 'F1'}, "metric: task shade of kind regression has R2, .*, found 'F1'"),
        (
            {'metric': 'R2', 'tasks': ('kind',)},
            "metric: task kind of kind class has accuracy, macro_f1, weighted_f1, found 'R2'",
        ),
        ({'metric': 'minority_f1', 'tasks': ('kind',)}, "weighted_f1, found 'minority_f1'"),
        ({'nonlinear': NonlinearConfig(rates=())}, r'nonlinear.rates: expected at least one'),
        (
            {'nonlinear': NonlinearConfig(rates=(1e-3, 0.0))},
            r'nonlinear.rates: expected more than 0, found 0.0',
        ),
        ({'nonlinear': NonlinearConfig(epochs=0)}, r'nonlinear.epochs: expected 1 or more, found'),
        ({'nonlinear': NonlinearConfig(batch=0)}, r'nonlinear.batch: expected 1 or more, found 0'),
        (
            {'nonlinear': NonlinearConfig(schedule='step')},
            r"nonlinear.schedule: expected constant or cosine, found 'step'",
        ),
        ({'nonlinear': NonlinearConfig(seeds=0)}, r'nonlinear.seeds: expected 1 or more, found 0'),
        (
            {'nonlinear': NonlinearConfig(weight_decay=-0.1)},
            r'nonlinear.weight_decay: expected 0 or more, found -0.1',
        ),
        (
            {'tasks': ('cover',), 'features': ('sv',)},
            "tasks: for linear, toy has shade, kind, scene, range, found 'cover'",
        ),
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
