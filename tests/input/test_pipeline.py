import collections
import io

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from gair_jax.config import InputError
from gair_jax.geo import sphere
from gair_jax.input import transforms
from gair_jax.input.pipeline import Pipeline, check
from gair_jax.input.store import Store
from gair_jax.sensors import CONTRACTS
from tests.input import toy

RS = CONTRACTS['sentinel2_10']


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name])


def many(config, batches, **kwargs):
    """All rows of several batches of the train split."""
    pipeline = Pipeline(config, 'train', **kwargs)
    parts = [pipeline.batch(step) for step in range(batches)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def still(config):
    """Nothing but windows and dates is drawn."""
    config.input.rs.flip = config.input.rs.jitter = 0.0
    config.input.sv.flip = config.input.sv.jitter = 0.0
    return config


def levels(values, band):
    """Stored values -> what the contract makes of them, in one band."""
    stored = np.repeat(np.asarray(values, np.float32)[..., None], 10, axis=-1)
    return RS.normalize(stored)[..., band]


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


def test_pixels_under_the_window_are_those_of_the_tile_at_the_photo(toy_config):
    """B02 counts rows and B03 columns of the tile; both must be right under xy, flipped or not."""
    toy_config.input.rs.jitter = 0.0
    store, batch = Store(toy_config.data), many(toy_config, 6)
    flipped = 0
    for i in np.flatnonzero(batch['has_rs']):
        photo = store.photos('train')[int(batch['index'][i])]
        rs = batch['rs'][i]
        col, row = np.floor((batch['xy'][i] + 1) / 2 * 16).astype(int).clip(0, 15)
        left, top = toy.corner(photo.tile)
        at = tile_pixel(photo.lonlat, left, top)
        assert rs[row, col, 0] == levels(at[0] * 20 + 500, 0)
        assert rs[row, col, 1] == levels(at[1] * 20 + 500, 1)
        flipped += rs[0, 0, 1] > rs[0, -1, 1]
    assert 0.3 < flipped / batch['has_rs'].sum() < 0.7


def tile_pixel(lonlat, left, top):
    """Row and column, by pyproj alone."""
    import pyproj

    transformer = pyproj.Transformer.from_crs('EPSG:4326', 'EPSG:32633', always_xy=True)
    x, y = transformer.transform(*lonlat)
    return int((top - y) // 10), int((x - left) // 10)


def test_xy_is_uniform_under_random_placement(tmp_path):
    photos = [toy.photo(i, 0, (0.01 * (i % 7), -0.01 * (i % 5))) for i in range(400)]
    config = toy.write(tmp_path, {'train': photos}, [toy.acquisition(0, d) for d in range(3)])
    config.model.sv.enabled, config.batch = False, 400
    xy = many(config, 2)['xy']
    assert np.abs(xy).max() <= 1
    for axis in xy.T:
        assert scipy.stats.kstest(axis, scipy.stats.uniform(-1, 2).cdf).statistic < 0.05


def test_dates_are_drawn_alike_or_the_first_is_taken(toy_config):
    still(toy_config)
    by_level = {float(levels(700 + 100 * date, 2)): date for date in range(3)}
    batch = many(toy_config, 40)
    dates = [by_level[float(rs[0, 0, 2])] for rs in batch['rs'][batch['has_rs']]]
    counts = collections.Counter(dates)
    assert scipy.stats.chisquare([counts[date] for date in range(3)]).pvalue > 0.01
    toy_config.input.date = 'first'
    batch = many(toy_config, 4)
    assert {by_level[float(rs[0, 0, 2])] for rs in batch['rs'][batch['has_rs']]} == {0}


def test_jitter_moves_the_named_bands_alone(toy_config):
    toy_config.input.rs.flip = 0.0
    toy_config.input.rs.jitter, toy_config.input.rs.jitter_bands = 1.0, ('B03', 'B12')
    jittered = Pipeline(toy_config, 'train').batch(0)
    toy_config.input.rs.jitter = 0.0
    plain = Pipeline(toy_config, 'train').batch(0)
    rows = plain['has_rs']
    changed = (jittered['rs'] != plain['rs'])[rows].any(axis=(0, 1, 2))
    assert np.flatnonzero(changed).tolist() == [1, 9]


def test_the_street_view_is_the_photo_normalised(toy_config):
    batch = Pipeline(still(toy_config), 'train').batch(0)
    photos = Store(toy_config.data).photos('train')
    for i in np.flatnonzero(batch['has_sv']):
        pixels = np.asarray(Image.open(io.BytesIO(photos[int(batch['index'][i])].photo)))
        expected = CONTRACTS['street_view_rgb'].normalize(pixels)
        np.testing.assert_array_equal(batch['sv'][i], expected)


def test_rows_without_photo_or_tile_are_marked_and_zero(toy_config):
    toy_config.batch = 20
    batch = Pipeline(toy_config, 'train').batch(0)
    photos = Store(toy_config.data).photos('train')
    assert 0 < batch['has_rs'].sum() < 20
    assert 0 < batch['has_sv'].sum() < 20
    for i, index in enumerate(batch['index']):
        photo = photos[int(index)]
        assert batch['has_sv'][i] == bool(photo.photo) == batch['sv'][i].any()
        assert batch['has_rs'][i] == bool(photo.acquisitions) == batch['rs'][i].any()
        assert batch['tile'][i] == photo.tile
        np.testing.assert_array_equal(batch['lonlat'][i], photo.lonlat.astype(np.float32))
    assert (batch['xy'][~batch['has_rs']] == 0).all()


def test_a_disabled_encoder_reads_nothing(toy_config):
    toy_config.model.sv.enabled = False
    batch = Pipeline(toy_config, 'train').batch(0)
    assert 'sv' not in batch
    assert not batch['has_sv'].any()
    toy_config.model.sv.enabled, toy_config.model.rs.enabled = True, False
    batch = Pipeline(toy_config, 'train').batch(0)
    assert 'rs' not in batch
    assert not batch['has_rs'].any()


def test_without_augmentation_all_is_plain(toy_config):
    toy_config.input.augment = False
    pipeline = Pipeline(toy_config, 'train')
    first, later = pipeline.batch(0), many(toy_config, 10)
    for i, index in enumerate(first['index']):
        for again in np.flatnonzero(later['index'] == index):
            for name in ('rs', 'sv', 'xy'):
                np.testing.assert_array_equal(first[name][i], later[name][again])
    inner = [pipeline.window_info(int(i)) for i in first['index'][first['has_rs']]]
    for info in inner:
        at = (info.tile_xy + 1) / 2 * toy.SIDE
        if (np.abs(at - toy.SIDE / 2) < toy.SIDE / 2 - 9).all():  # far from the edge
            assert np.abs(info.xy).max() <= 0.5 / 8 + 1e-9


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


def test_window_info_tells_what_evaluation_sees(toy_config):
    pipeline = Pipeline(toy_config, 'train', train=False)
    store = Store(toy_config.data)
    batch = pipeline.examples_at(range(20))
    for index in np.flatnonzero(batch['has_rs']):
        info = pipeline.window_info(int(index))
        np.testing.assert_array_equal(info.xy.astype(np.float32), batch['xy'][index])
        pixels = store.tiles[info.tile_row].bands[
            info.row : info.row + 16, info.col : info.col + 16
        ]
        assert info.size == (16, 16)
        np.testing.assert_array_equal(RS.normalize(pixels), batch['rs'][index])
    with pytest.raises(InputError, match='expected a record with a tile'):
        pipeline.window_info(int(np.flatnonzero(~batch['has_rs'])[0]))


def test_whole_placement_resizes_the_tile(toy_config):
    still(toy_config).input.rs.placement = 'whole'
    toy_config.input.date = 'first'
    batch = Pipeline(toy_config, 'train').batch(0)
    store = Store(toy_config.data)
    i = int(np.flatnonzero(batch['has_rs'])[0])
    photo = store.photos('train')[int(batch['index'][i])]
    whole = store.tiles[photo.acquisitions[0]].bands
    expected = transforms.rs_input(whole, RS, 16, 'cubic_antialias')
    np.testing.assert_array_equal(batch['rs'][i], expected)


def test_balanced_sampling_draws_cities_alike(toy_config):
    toy_config.data.balance = 'group'
    photos = Store(toy_config.data).photos('train')
    sizes = {name: len(rows) for name, rows in photos.members().items()}
    assert sum(sizes.values()) == 20
    batch = many(toy_config, 60)
    counts = collections.Counter(photos[int(index)].group for index in batch['index'])
    assert scipy.stats.chisquare([counts[name] for name in sizes]).pvalue > 0.01
    assert photos.members().keys() == sizes.keys()  # now from the file beside the records


def test_noise_moves_lonlat_and_on_request_xy(toy_config):
    still(toy_config)
    plain = many(toy_config, 10)
    toy_config.input.noise.kappa = 300.0
    noisy = many(toy_config, 10)
    np.testing.assert_array_equal(noisy['xy'], plain['xy'])
    distance = sphere.great_circle_m(noisy['lonlat'].astype(float), plain['lonlat'].astype(float))
    assert 350e3 < distance.mean() < 570e3  # 461 km expected, 80 draws
    assert_same(noisy, many(toy_config, 10))
    toy_config.input.noise.target = 'both'
    both = many(toy_config, 10)
    rows = both['has_rs']
    assert (both['xy'] != plain['xy'])[rows].any(axis=1).all()
    assert np.abs(both['xy']).max() <= 1
    assert scipy.stats.kstest(both['xy'][rows].ravel(), 'uniform', (-1, 2)).pvalue > 0.01
    np.testing.assert_array_equal(
        Pipeline(toy_config, 'val', train=False).batch(0)['lonlat'],
        Pipeline(toy_config, 'val').examples_at(range(8))['lonlat'],
    )


def test_tiny_noise_moves_xy_with_lonlat(toy_config):
    still(toy_config)
    plain = many(toy_config, 2)
    toy_config.input.noise.kappa, toy_config.input.noise.target = 1e13, 'both'  # about 3 m
    noisy = many(toy_config, 2)
    moved = np.abs(noisy['xy'] - plain['xy'])[plain['has_rs']].max(axis=1)
    assert 0.001 < np.median(moved) < 0.1  # the window is 160 m wide


def test_ids_are_those_of_the_records(toy_config):
    pipeline = Pipeline(toy_config, 'train')
    batch = pipeline.batch(0)
    photos = Store(toy_config.data).photos('train')
    assert pipeline.ids(batch) == [photos[int(index)].id for index in batch['index']]


def test_a_tile_smaller_than_the_window_is_named(toy_config):
    toy_config.input.rs.window = 64
    with pytest.raises(InputError, match=r'tile \d .tile.*input.rs.window = 64.*found 40 x 40'):
        Pipeline(toy_config, 'train').batch(0)


def test_a_point_outside_its_tile_is_refused_by_name(tmp_path):
    photos = [toy.photo(7, 0, (1.5, 0.0))]
    config = toy.write(tmp_path, {'train': photos}, [toy.acquisition(0, d) for d in range(3)])
    with pytest.raises(InputError, match='photo photo0007.*outside its tile.*east'):
        Pipeline(config, 'train').batch(0)


def test_a_missing_band_is_named_with_the_tile(tmp_path):
    tiles = [toy.acquisition(0, d, band_names=('B01', *toy.BANDS[1:])) for d in range(3)]
    config = toy.write(tmp_path, {'train': [toy.photo(0, 0)]}, tiles)
    with pytest.raises(InputError, match='tile 0: band B02 is missing'):
        Pipeline(config, 'train').batch(0)


def test_bands_are_found_by_name_in_any_order(tmp_path):
    plain = toy.acquisition(0, 0)
    turned = toy.acquisition(
        0, 0, bands=np.ascontiguousarray(plain.bands[..., ::-1]), band_names=toy.BANDS[::-1]
    )
    batches = []
    for name, tile in (('a', plain), ('b', turned)):
        photo = toy.photo(0, 0, acquisitions=[0])
        config = toy.write(tmp_path / name, {'train': [photo]}, [tile])
        batches.append(Pipeline(config, 'train').batch(0))
    assert_same(*batches)


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
        ('input.rs.placement', 'left', 'input.rs.placement: expected random or centre or whole'),
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
