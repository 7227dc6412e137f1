import json

import numpy as np
import pyproj
import pytest
import rasterio

from gair_jax.builders import catalogue, hls_burn_scars
from gair_jax.builders.hls_burn_scars import builder
from gair_jax.config import InputError
from gair_jax.transfer.tasks import read_tasks
from tests.builders import made
from tests.shared import shared


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('hls')
    report = hls_burn_scars.build(made.write_hls(folder / 'raw'), data_dir=folder)
    return folder, report


def number(name):
    return int(name.split('.')[3]) - 2020001


def test_ten_and_two_scenes_become_nine_one_and_two(built):
    folder, report = built
    assert report.splits == {'train': 9, 'val': 1, 'test': 2}
    assert report.tiles == report.rows == 12 and report.failed == 0
    assert str(report).startswith('hls_burn_scars/default: 12 of 12 rows kept')
    check = catalogue.check(folder, 'hls_burn_scars')
    assert check.findings == [] and check.sizes == {(32, 32, 6): 12} and check.crs == {made.UTM: 12}


def test_scenes_hold_what_their_files_hold(built):
    source = made.opened(built[0], 'hls_burn_scars')
    seen = []
    for split in source.splits:
        for name, (photo, [tile]) in made.tiles_of(source, split).items():
            image = made.hls_image(number(name))
            image[:, 3, 5] = 0
            assert tile.bands.dtype == np.float32
            np.testing.assert_array_equal(tile.bands, image.transpose(1, 2, 0))
            mask = made.hls_mask(number(name))[0].astype(np.int64)
            assert set(np.unique(mask)) == {-1, 0, 1}
            np.testing.assert_array_equal(
                tile.labels['burn_scars'], np.where(mask == -1, 255, mask)
            )
            # Day 1 of a leap year is the first of January.
            assert tile.date == f'2020-01-{number(name) + 1:02d}'
            assert (photo.photo, photo.group, tile.band_names) == (b'', 'T10SFE', builder.BANDS)
            # 32 pixels of 30 m: the middle lies 480 m east and south of the corner.
            middle = made.CORNER[0] + 480, made.CORNER[1] - 480
            expected = pyproj.Transformer.from_crs(32632, 4326, always_xy=True).transform(*middle)
            np.testing.assert_allclose(photo.lonlat, expected, atol=1e-9)
            seen.append(number(name))
    assert sorted(seen) == list(range(12))


def test_the_split_keeps_the_order_of_the_permutation(built):
    source = made.opened(built[0], 'hls_burn_scars')
    order = np.random.RandomState(23).permutation(10).tolist()  # the spec's rule, again
    assert [number(photo.id) for photo in source.photos('val')] == order[:1]
    assert [number(photo.id) for photo in source.photos('train')] == order[1:]
    assert [number(photo.id) for photo in source.photos('test')] == [10, 11]


def test_540_scenes_split_as_in_the_reference():
    val, train = builder.split_order(540)
    assert (len(val), len(train)) == (54, 486)
    assert val[:5].tolist() == [226, 394, 117, 148, 19]
    assert train[:5].tolist() == [271, 531, 444, 172, 464]


def test_the_whole_split_agrees_with_the_reference():
    with np.load(shared('parity/decoders') / 'split_hlsburnscars.npz') as case:
        val, train = builder.split_order(540)
        np.testing.assert_array_equal(val, case['out/val'])
        np.testing.assert_array_equal(train, case['out/train'])


def test_the_interleaving_of_a_file_changes_nothing(tmp_path):
    arrays = []
    for interleave in ('pixel', 'band'):
        path = made.write_tif(
            tmp_path / f'{interleave}.tif', made.hls_image(0), interleave=interleave
        )
        with rasterio.open(path) as source:
            assert source.interleaving.value == interleave.upper()
            arrays.append(source.read())
    np.testing.assert_array_equal(*arrays)


def records(folder):
    """Every record in stored order, as plain values."""
    source = made.opened(folder, 'hls_burn_scars')
    photos = {s: [(p.id, p.tile, p.acquisitions) for p in source.photos(s)] for s in source.splits}
    return photos, [
        (t.id, t.bands.tobytes(), t.labels['burn_scars'].tobytes()) for t in source.tiles
    ]


def test_a_stopped_build_goes_on_and_chunks_change_nothing(built, tmp_path, monkeypatch):
    add, calls = builder._add, []

    def stop(chunk, folder, item):
        calls.append(item.name)
        if len(calls) == 6:
            raise KeyboardInterrupt
        add(chunk, folder, item)

    monkeypatch.setattr(builder, 'CHUNK_TILES', 2)
    monkeypatch.setattr(builder, '_add', stop)
    root = made.write_hls(tmp_path / 'raw')
    with pytest.raises(KeyboardInterrupt):
        hls_burn_scars.build(root, data_dir=tmp_path)
    hls_burn_scars.build(root, data_dir=tmp_path)
    # Four scenes were staged, the fifth and sixth are made again: 6 + 8 of 12.
    assert len(calls) == 14 and len(set(calls)) == 12
    assert records(tmp_path) == records(built[0])


def test_a_finished_build_is_not_taken_for_one_of_other_files(tmp_path):
    root = made.write_hls(tmp_path / 'raw', training=2, validation=1)
    hls_burn_scars.build(root, data_dir=tmp_path)
    for path in pair(root, 'validation', 2):
        path.rename(path.with_name(path.name.replace('2020003', '2020009')))
    with pytest.raises(InputError, match='holds a build from other input'):
        hls_burn_scars.build(root, data_dir=tmp_path)


def test_the_task_is_in_the_metadata(built):
    metadata = made.opened(built[0], 'hls_burn_scars').metadata
    task = metadata['tasks']['burn_scars']
    assert json.loads(json.dumps(task)) == task
    assert read_tasks(metadata)[0].classes == ('not burnt', 'burn scar')
    assert (task['ignore'], task['dates']) == (255, 'first')
    assert len(task['statistics']['mean']) == len(task['statistics']['std']) == 6


def test_statistics_are_those_of_the_reference():
    with np.load(shared('parity/decoders') / 'prep_hlsburnscars.npz') as case:
        meta = json.loads(str(case['meta']))['kwargs']
    statistics = builder._content().metadata['tasks']['burn_scars']['statistics']
    assert statistics == {'mean': meta['mean'], 'std': meta['std']}


def pair(root, folder='training', index=0):
    name = made.HLS_NAME.format(day=2020001 + index)
    return root / folder / f'{name}_merged.tif', root / folder / f'{name}.mask.tif'


def remove(folder):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def with_value(path, value):
    mask = made.hls_mask(0)
    mask[0, 4, 4] = value
    made.write_tif(path, mask)


def with_nan(path):
    image = made.hls_image(0)
    image[2, 1, 1] = np.nan
    made.write_tif(path, image)


SPOILT = [
    (lambda root: remove(root / 'validation'), 'validation: expected a folder with files'),
    (lambda root: pair(root)[1].unlink(), r'2020001.v1.4: .* found it lacks a mask'),
    (lambda root: pair(root)[0].unlink(), r'2020001.v1.4: .* found it lacks an image'),
    (
        lambda root: made.write_tif(pair(root)[1], made.hls_mask(0)[:, :, :31]),
        'one band of 32 x 32 pixels as its image has, found 1 of 32 x 31',
    ),
    (lambda root: with_value(pair(root)[1], 2), 'expected a class of 0, 1, -1, found 2'),
    (
        lambda root: made.write_tif(pair(root)[0], made.hls_image(0)[:5]),
        'merged.tif: expected 6 bands, found 5',
    ),
    (lambda root: pair(root)[0].write_bytes(b'II*\0'), 'merged.tif: cannot be read'),
    (lambda root: made.truncate(pair(root)[0]), 'merged.tif: cannot be read'),
    (lambda root: with_nan(pair(root)[0]), 'expected finite pixels, found nan or infinity'),
    (
        lambda root: made.write_tif(pair(root)[0], made.hls_image(0), crs=None),
        'merged.tif: expected a georeference, found none',
    ),
    (
        lambda root: [made.write_tif(p, made.hls_image(0)) for p in pair(root, 'validation')],
        'lies in training and in validation',
    ),
]


@pytest.mark.parametrize(('spoil', 'message'), SPOILT, ids=[message for _, message in SPOILT])
def test_a_bad_source_is_named(tmp_path, spoil, message):
    root = made.write_hls(tmp_path / 'raw', training=2, validation=1)
    spoil(root)
    with pytest.raises(InputError, match=message):
        hls_burn_scars.build(root, data_dir=tmp_path / 'prepared')
    assert not list((tmp_path / 'prepared').rglob('*.array_record*'))


def test_one_scene_cannot_be_split(tmp_path):
    root = made.write_hls(tmp_path, training=1, validation=1)
    with pytest.raises(InputError, match='expected two scenes or more, found one'):
        hls_burn_scars.build(root, data_dir=tmp_path)
