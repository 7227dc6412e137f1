import collections

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

from gair_jax.config import InputError
from gair_jax.input.pipeline import Pipeline, check
from gair_jax.input.store import Store
from tests.input import toy
from tests.input.batches import assert_same, many, still


def test_a_batch_has_the_promised_arrays(toy_config):
    batch = Pipeline(toy_config, 'train').batch(0)
    found = {name: (value.shape, value.dtype.name) for name, value in batch.items()}
    assert found == {
        'rs': ((8, 16, 16, 10), 'float32'),
        'sv': ((8, 16, 16, 3), 'float32'),
        'xy': ((8, 2), 'float32'),
        'lonlat': ((8, 2), 'float32'),
        'has_rs': ((8,), 'bool'),
        'has_sv': ((8,), 'bool'),
        'tile': ((8,), 'int32'),
        'index': ((8,), 'int32'),
    }


def test_pixels_are_rounded_on_the_host_where_the_encoders_would_round_them(toy_config):
    exact = Pipeline(toy_config, 'train').batch(0)
    toy_config.model.dtype = 'bfloat16'
    pipeline = Pipeline(toy_config, 'train')
    for found in (pipeline.batch(0), next(pipeline.iterate(0, 1))):
        for name, value in exact.items():
            wanted = value.astype(ml_dtypes.bfloat16) if name in ('rs', 'sv') else value
            assert found[name].dtype == wanted.dtype
            np.testing.assert_array_equal(found[name], wanted)
    assert pipeline.examples_at([0])['rs'].dtype == np.float32
    toy_config.loss.objective = 'mae'  # whose targets are the pixels themselves
    assert_same(Pipeline(toy_config, 'train').batch(0), exact)


def test_the_global_batch_is_the_same_for_any_number_of_hosts(toy_config):
    whole = Pipeline(toy_config, 'train').batch(5)
    for count in (2, 4):
        parts = [
            Pipeline(toy_config, 'train', process_index=p, process_count=count).batch(5)
            for p in range(count)
        ]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in whole}
        assert_same(joined, whole)


@pytest.mark.parametrize('threads', [1, 2, 5])
def test_iterating_from_any_step_gives_the_batches_of_any_thread_count(toy_config, threads):
    expected = Pipeline(toy_config, 'train')
    toy_config.data.threads = threads
    pipeline = Pipeline(toy_config, 'train', process_index=1, process_count=2)
    for start in (0, 3):
        batches = list(pipeline.iterate(start, start + 4))
        assert len(batches) == 4
        for step, batch in enumerate(batches, start):
            whole = expected.batch(step)
            assert_same(batch, {name: value[4:] for name, value in whole.items()})


def test_seeds_and_epochs_draw_anew(toy_config):
    still(toy_config).batch = 20
    first, second = many(toy_config, 1), Pipeline(toy_config, 'train').batch(1)
    assert sorted(first['index']) == sorted(second['index']) == list(range(20))
    by_index = {i: xy for i, xy in zip(first['index'], first['xy'], strict=True)}
    moved = [(by_index[i] != xy).any() for i, xy in zip(second['index'], second['xy'], strict=True)]
    assert np.sum(moved) > 10
    toy_config.seed = 4
    assert many(toy_config, 1)['index'].tolist() != first['index'].tolist()


def test_a_disabled_encoder_reads_nothing(toy_config):
    toy_config.model.sv.enabled = False
    batch = Pipeline(toy_config, 'train').batch(0)
    assert 'sv' not in batch
    assert not batch['has_sv'].any()
    toy_config.model.sv.enabled, toy_config.model.rs.enabled = True, False
    batch = Pipeline(toy_config, 'train').batch(0)
    assert 'rs' not in batch
    assert not batch['has_rs'].any()


def test_evaluation_sees_each_record_once_and_always_the_same(toy_config):
    pipeline = Pipeline(toy_config, 'val', train=False)
    assert pipeline.steps_per_epoch == 2
    batches = list(pipeline.iterate(0, 2))
    assert np.concatenate([b['index'] for b in batches]).tolist() == [*range(10), *range(6)]
    assert np.concatenate([b['valid'] for b in batches]).tolist() == [True] * 10 + [False] * 6
    assert_same(batches[1], pipeline.batch(1))
    np.testing.assert_array_equal(batches[0]['rs'][0], batches[1]['rs'][2])
    chosen = pipeline.examples_at([4, 2])
    for name in ('rs', 'sv', 'xy', 'lonlat'):
        np.testing.assert_array_equal(chosen[name], batches[0][name][[4, 2]])


def test_balanced_sampling_draws_cities_alike(toy_config):
    toy_config.data.balance = 'group'
    photos = Store(toy_config.data).photos('train')
    sizes = {name: len(rows) for name, rows in photos.members().items()}
    assert sum(sizes.values()) == 20
    batch = many(toy_config, 60)
    counts = collections.Counter(photos[int(index)].group for index in batch['index'])
    assert scipy.stats.chisquare([counts[name] for name in sizes]).pvalue > 0.01
    assert photos.members().keys() == sizes.keys()  # now from the file beside the records


def test_ids_are_those_of_the_records(toy_config):
    pipeline = Pipeline(toy_config, 'train')
    batch = pipeline.batch(0)
    photos = Store(toy_config.data).photos('train')
    assert pipeline.ids(batch) == [photos[int(index)].id for index in batch['index']]


def test_a_photo_that_does_not_decode_is_named_also_from_threads(tmp_path):
    photos = [toy.photo(i, 0, photo=b'\xff\xd8 no photo') for i in range(3)]
    config = toy.write(tmp_path, {'train': photos}, [toy.acquisition(0, d) for d in range(3)])
    message = r'array_record-00000-of-00001: record \d .train \d. cannot be read: its photo does'
    with pytest.raises(InputError, match=message):
        Pipeline(config, 'train').batch(0)
    with pytest.raises(InputError, match=message):
        next(Pipeline(config, 'train').iterate(0, 2))


def test_an_iterator_may_be_left_early(toy_config):
    batches = Pipeline(toy_config, 'train').iterate(0, 10_000)
    next(batches)
    del batches


def test_the_batch_must_divide_among_processes(toy_config):
    with pytest.raises(InputError, match='batch: expected a multiple of 3 processes, found 8'):
        Pipeline(toy_config, 'train', process_count=3)


@pytest.mark.parametrize(
    ('setting', 'value', 'message'),
    [
        ('data.balance', 'city', "data.balance: expected none or group, found 'city'"),
        ('data.threads', 0, 'data.threads: expected at least 1, found 0'),
        ('input.date', 'last', "input.date: expected random or first, found 'last'"),
        ('input.rs.placement', 'left', 'input.rs.placement: expected random or centre or anywhere'),
        ('input.rs.kernel', 'area', "input.rs.kernel: .*found 'area'"),
        ('input.sv.kernel', 'area', "input.sv.kernel: .*found 'area'"),
        ('input.noise.target', 'xy', "input.noise.target: .*found 'xy'"),
        ('input.noise.kappa', -1.0, 'input.noise.kappa: expected at least 0'),
        ('input.rs.flip', 1.5, 'input.rs.flip: expected 0 to 1, found 1.5'),
        ('input.sv.jitter_hue', 0.6, 'input.sv.jitter_hue: expected 0 to 0.5'),
        ('input.sv.jitter', float('nan'), 'input.sv.jitter: expected 0 to 1, found nan'),
        ('input.rs.jitter_bands', ('B99',), 'input.rs.jitter_bands: .*B99 is missing'),
        ('input.rs.sensor', 'landsat', 'sensor: expected one of .*landsat'),
        ('batch', 0, 'batch: expected at least 1'),
        ('seed', -1, 'seed: expected 0 to'),
    ],
)
def test_a_setting_out_of_range_is_named(toy_config, setting, value, message):
    section = toy_config
    *path, name = setting.split('.')
    for part in path:
        section = getattr(section, part)
    setattr(section, name, value)
    with pytest.raises(InputError, match=message):
        check(toy_config)
