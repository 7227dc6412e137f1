import json

import numpy as np
import pytest

from gair_jax import sensors
from gair_jax.builders import ai4smallfarms, catalogue
from gair_jax.builders.ai4smallfarms import builder
from gair_jax.config import InputError
from gair_jax.transfer.tasks import read_tasks
from tests.builders import made
from tests.shared import shared


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('farms')
    root = made.write_farms(folder / 'raw', val='validate')
    made.write_farm(root, 'test/{}/wide.tif', 2, shape=(40, 24))
    return folder, ai4smallfarms.build(root, data_dir=folder)


def test_tiles_of_every_split_and_size_are_there(built):
    folder, report = built
    assert report.splits == {'train': 2, 'val': 2, 'test': 3} and report.tiles == 7
    check = catalogue.check(folder, 'ai4smallfarms')
    assert check.findings == [] and check.sizes == {(32, 32, 4): 6, (40, 24, 4): 1}


def test_tiles_hold_what_their_files_hold(built):
    source = made.opened(built[0], 'ai4smallfarms')
    for split in ('train', 'val', 'test'):
        tiles = made.tiles_of(source, split)
        for number in range(2):
            _, [tile] = tiles[f'{split}/{number}']
            image = made.farms_image(number)
            assert tile.bands.dtype == (np.uint16, np.float32)[number] == image.dtype
            if number:
                assert np.isnan(image[1, 2, 3])
                image[1, 2, 3] = 0
            np.testing.assert_array_equal(tile.bands, image.transpose(1, 2, 0))
            mask = made.farms_mask(number)[0]
            assert set(np.unique(mask)) == {0, 255}
            np.testing.assert_array_equal(tile.labels['field_boundaries'], mask // 255)
            assert tile.band_names == ('B02', 'B03', 'B04', 'B08')


def test_a_tile_that_is_not_square_keeps_its_shape_and_middle(built):
    source = made.opened(built[0], 'ai4smallfarms')
    photo, [tile] = made.tiles_of(source, 'test')['test/wide']
    image = made.farms_image(2, (40, 24))
    image[1, 2, 3] = 0
    np.testing.assert_array_equal(tile.bands, image.transpose(1, 2, 0))
    left, top = made.CORNER
    assert tile.bounds.tolist() == [left, top, left + 240, top - 400]
    # The corner is on the central meridian: 120 m east of it is 0.0016 degrees at 47.85 north.
    assert 9.0015 < photo.lonlat[0] < 9.0017 and 47.8 < photo.lonlat[1] < 47.9


def test_only_255_is_a_field():
    values = np.array([[0, 1, 254, 255]])
    # trunc(v / 255) by hand.
    assert builder.field_mask(values).tolist() == [[0, 0, 0, 1]]
    assert builder.field_mask(np.array([[np.nan, 254.9, 255.0]])).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ('names', 'indices'),
    [
        ((), [2, 3, 4, 8]),  # B01, B02, ...: red, green and blue are bands 4, 3 and 2
        (('B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A', 'B11', 'B12'), [1, 2, 3, 7]),
    ],
)
def test_ten_bands_go_by_name_or_else_from_b01(tmp_path, names, indices):
    path = tmp_path / 'x.tif'
    made.write_tif(path, made.farms_image(0, bands=10), names=names)
    with builder.mask_tiles.opened(path) as source:
        bands = builder._image(source)
    expected = made.farms_image(0, bands=10)[[index - 1 for index in indices]]
    np.testing.assert_array_equal(bands, expected.transpose(1, 2, 0))


def test_other_types_become_float32(tmp_path):
    path = made.write_tif(tmp_path / 'x.tif', made.farms_image(0).astype(np.int32))
    with builder.mask_tiles.opened(path) as source:
        bands = builder._image(source)
    assert bands.dtype == np.float32
    np.testing.assert_array_equal(bands, made.farms_image(0).transpose(1, 2, 0))


def test_the_task_is_in_the_metadata(built):
    metadata = made.opened(built[0], 'ai4smallfarms').metadata
    assert read_tasks(metadata)[0].classes == ('background', 'field')
    protocol = metadata['tasks']['field_boundaries']['protocol']
    assert (protocol['loss'], protocol['logits'], protocol['repeat']) == ('dice', 1, 2)


def test_statistics_are_those_of_the_reference():
    with np.load(shared('parity/decoders') / 'prep_ai4smallfarms.npz') as case:
        meta = json.loads(str(case['meta']))['kwargs']
    statistics = builder._content().metadata['tasks']['field_boundaries']['statistics']
    assert statistics == {'mean': meta['mean'], 'std': meta['std']}
    assert [sensors.canonical(band) for band in meta['dataset_bands']] == list(builder.BANDS)


def file(root, kind, name='0', split='train'):
    return root / 'sentinel-2-asia' / split / kind / f'{name}.tif'


def move(root, old, new):
    (root / 'sentinel-2-asia' / old).rename(root / 'sentinel-2-asia' / new)


SPOILT = [
    (lambda root: move(root, 'val', 'valid'), 'expected one folder val or validate, found none'),
    (
        lambda root: made.write_farm(root, 'validate/{}/0.tif', 0),
        'expected one folder val or validate, found val and validate',
    ),
    (lambda root: file(root, 'masks').unlink(), 'train: 0: .* found it lacks a mask'),
    (lambda root: file(root, 'images').unlink(), 'train: 0: .* found it lacks an image'),
    (
        lambda root: made.write_tif(file(root, 'masks'), made.farms_mask(0, (32, 30))),
        'one band of 32 x 32 pixels as its image has, found 1 of 32 x 30',
    ),
    (
        lambda root: made.write_tif(file(root, 'masks'), made.farms_mask(0).repeat(3, 0)),
        'found 3 of 32 x 32',
    ),
    (
        lambda root: made.write_tif(file(root, 'images'), made.farms_image(0, bands=5)),
        '0.tif: expected 4 or 10 bands, found 5',
    ),
    (lambda root: file(root, 'images').write_bytes(b'no tif'), '0.tif: cannot be read'),
    (
        lambda root: made.write_tif(file(root, 'images'), np.full((4, 32, 32), np.inf, 'float32')),
        'expected finite pixels',
    ),
]


@pytest.mark.parametrize(('spoil', 'message'), SPOILT, ids=[message for _, message in SPOILT])
def test_a_bad_source_is_named(tmp_path, spoil, message):
    root = made.write_farms(tmp_path / 'raw')
    spoil(root)
    with pytest.raises(InputError, match=message):
        ai4smallfarms.build(root, data_dir=tmp_path / 'prepared')
    assert not list((tmp_path / 'prepared').rglob('*.array_record*'))
