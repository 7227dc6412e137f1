import collections
import io

import numpy as np
import pytest
import scipy.stats
from PIL import Image

from gair_jax.config import InputError
from gair_jax.geo import sphere
from gair_jax.input import transforms
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.sensors import CONTRACTS
from tests.input import toy
from tests.input.batches import assert_same, many, still

RS = CONTRACTS['sentinel2_10']


def levels(values, band):
    """Stored values -> what the contract makes of them, in one band."""
    stored = np.repeat(np.asarray(values, np.float32)[..., None], 10, axis=-1)
    return RS.normalize(stored)[..., band]


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
