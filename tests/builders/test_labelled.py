import numpy as np
import pytest
from PIL import Image

from gair_jax.builders import catalogue, labelled
from gair_jax.config import InputError
from gair_jax.geo.blocks import spatial_blocks
from tests.builders import made, scenes


def write_table(root):
    scenes.write_set(root, tiles=1, photos=3)
    rows = [
        {'photo': f'photos/p0_{n}.jpg', 'use': ('b', 'a', '')[n], 'age': ('1.5', '', '2')[n]}
        for n in range(3)
    ]
    rows = [{**row, 'split': 'train'} for row in rows]
    return rows, lambda: scenes.write_table(root / 'own.csv', rows)


def found(root):
    assert catalogue.check(root / 'prepared', 'labelled').findings == []
    source = made.opened(root / 'prepared', 'labelled')
    return source, [p for split in source.splits for p in source.photos(split)]


def test_classes_of_a_table_are_sorted_and_empty_is_unknown(tmp_path):
    write_table(tmp_path)[1]()
    labelled.build(tmp_path / 'own.csv', targets=['use'], data_dir=tmp_path / 'prepared')
    source, photos = found(tmp_path)
    assert source.metadata['tasks']['use']['classes'] == ['a', 'b']
    assert [int(photo.labels['use']) for photo in photos] == [1, 0, -1]


def test_masks_go_with_their_tiles(tmp_path):
    scenes.write_tile(tmp_path / 't.tif')
    mask = np.arange(480).reshape(1, 20, 24) % 2
    scenes.write_tile(tmp_path / 'm.tif', mask.astype(np.uint8), names=(), nodata=None)
    rows = [{'tile': 't.tif', 'cover': 'm.tif', 'split': 'train'}]
    table = scenes.write_table(tmp_path / 'own.csv', rows)
    options = {'targets': ['cover'], 'kind': 'mask', 'data_dir': tmp_path / 'prepared'}
    labelled.build(table, classes=['a', 'b'], **options)
    source, _ = found(tmp_path)
    np.testing.assert_array_equal(source.tiles[0].labels['cover'], mask[0])


def write_series(root):
    for number in range(3):
        scenes.write_tile(root / f't{number}.tif', scenes.pixels(seed=number))
    mask = np.arange(480).reshape(1, 20, 24) % 2
    scenes.write_tile(root / 'm.tif', mask.astype(np.uint8), names=(), nodata=None)
    row = {
        'tile': 't0.tif; t1.tif;t2.tif',
        'tile_date': '2024-03-01;2024-01-01;2024-02-01',
        'cover': 'm.tif',
        'split': 'train',
    }
    return row, mask[0]


MASKS = {'targets': ['cover'], 'kind': 'mask', 'classes': ['a', 'b']}


def test_a_tile_of_several_dates_is_a_series_and_each_has_the_mask(tmp_path):
    row, mask = write_series(tmp_path)
    table = scenes.write_table(tmp_path / 'own.csv', [row])
    labelled.build(table, data_dir=tmp_path / 'prepared', **MASKS)
    source, (photo,) = found(tmp_path)
    assert source.metadata['tasks']['cover']['dates'] == 'all'
    dates = [source.tiles[i] for i in photo.acquisitions]
    assert [(one.date, one.id) for one in dates] == [
        ('2024-01-01', 't1.tif'),
        ('2024-02-01', 't2.tif'),
        ('2024-03-01', 't0.tif'),
    ]
    for one in dates:
        np.testing.assert_array_equal(one.labels['cover'], mask)
        kept = scenes.pixels(seed=int(one.id[1]))[[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]]
        np.testing.assert_array_equal(np.moveaxis(one.bands, -1, 0), kept)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'tile_date': ''}, 'tile_date: expected 3 dates, found 0'),
        ({'tile_date': '2024-01-01'}, 'tile_date: expected 3 dates, found 1'),
        ({'tile_date': '2024-01-01;soon;2024-02-01'}, "tile_date is no ISO date: 'soon'"),
        ({'tile': 't0.tif;t0.tif;t1.tif'}, 'tile not unique'),
        ({'tile': 't0.tif;small.tif;t1.tif'}, 'small.tif lies on other pixels than t0.tif'),
    ],
)
def test_dates_that_are_no_series_are_listed_with_the_reason(tmp_path, change, reason):
    row, _ = write_series(tmp_path)
    scenes.write_tile(tmp_path / 'small.tif', scenes.pixels(height=19))
    scenes.write_tile(tmp_path / 'good.tif')
    good = {'tile': 'good.tif', 'tile_date': '', 'cover': 'm.tif', 'split': 'train'}
    table = scenes.write_table(tmp_path / 'own.csv', [good, {**row, **change}])
    options = {**MASKS, 'max_failed': 0.5, 'data_dir': tmp_path / 'prepared'}
    labelled.build(table, **options)
    assert reason in (tmp_path / 'prepared/labelled/default_report.csv').read_text()
    assert [photo.id for photo in found(tmp_path)[1]] == ['1']


def test_neighbours_are_in_one_split_where_blocks_are_asked_for(tmp_path):
    rows = [{**row, 'use': 'a', 'tile': ''} for row in scenes.write_set(tmp_path, 8, 4)]
    table = scenes.write_table(tmp_path / 'own.csv', rows)
    options = {'targets': ['use'], 'data_dir': tmp_path / 'prepared'}
    labelled.build(table, block_km=5, **options)
    source, photos = found(tmp_path)
    counts = source.splits
    homes = [split for split in counts for _ in range(counts[split])]
    blocks = spatial_blocks(np.stack([photo.lonlat for photo in photos]), 5).tolist()
    assert len(set(blocks)) == len(set(zip(blocks, homes, strict=True))) >= 8
    assert len(homes) == 32 and counts['train'] == pytest.approx(19, abs=4)


def test_a_tile_without_coordinates_lies_where_its_middle_is(tmp_path):
    write_series(tmp_path)
    rows, middles = [], []
    for number in range(10):
        corner = (9 + 0.1 * number, 48.0)
        scenes.write_tile(tmp_path / f'{number}.tif', corner=corner)
        rows.append({'tile': f'{number}.tif', 'cover': 'm.tif'})
        middles.append({'lon': corner[0] + 0.012, 'lat': 48.0 - 0.01})
    told = [{**row, **middle} for row, middle in zip(rows, middles, strict=True)]
    splits = {}
    for variant, own in {'file': rows, 'told': told}.items():
        table = scenes.write_table(tmp_path / f'{variant}.csv', own)
        data_dir = tmp_path / variant
        labelled.build(table, block_km=3, data_dir=data_dir, **MASKS)
        source = made.opened(data_dir, 'labelled')
        splits[variant] = {p.id: split for split in source.splits for p in source.photos(split)}
    assert splits['file'] == splits['told']
    assert sorted(splits['file'].values()) == ['test'] * 2 + ['train'] * 6 + ['val'] * 2


def test_a_row_that_is_nowhere_has_no_block(tmp_path):
    rows = write_table(tmp_path)[0]
    rows = [{name: row[name] for name in ('photo', 'use')} for row in rows]
    table = scenes.write_table(tmp_path / 'own.csv', rows)
    with pytest.raises(InputError, match='no position: lon or lat is empty'):
        labelled.build(table, targets=['use'], block_km=1, data_dir=tmp_path / 'prepared')


def test_a_tree_of_folders_gives_splits_and_classes(tmp_path):
    for name in ('train/b/1.jpg', 'train/a/1.jpg', 'test/b/2.jpg'):
        (tmp_path / 'tree' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'tree' / name).write_bytes(scenes.jpeg(Image.new('RGB', (8, 8))))
    labelled.build(tmp_path / 'tree', data_dir=tmp_path / 'prepared')
    source, photos = found(tmp_path)
    assert source.splits == {'train': 2, 'test': 1}
    assert [int(photo.labels['class']) for photo in photos] == [0, 1, 1]


@pytest.mark.parametrize(
    ('row', 'options', 'message'),
    [
        ({}, {'targets': ['no']}, "column 'no' is missing"),
        ({}, {'targets': ['use'], 'kind': 'regression'}, "expected finite numbers.*found 'b'"),
        ({'age': 'inf'}, {'targets': ['age'], 'kind': 'regression'}, "found 'inf' in row 1"),
        ({}, {'targets': ['use'], 'classes': ['a']}, "expected one of a, found 'b' in row 1"),
        ({'photo': '../x.jpg'}, {'targets': ['use']}, 'file outside the root: ../x.jpg'),
        ({'split': 'all'}, {'targets': ['use']}, "unknown split: .*found 'all'"),
    ],
)
def test_bad_tables_are_refused_in_words(tmp_path, row, options, message):
    rows, write = write_table(tmp_path)
    rows[0].update(row)
    write()
    with pytest.raises(InputError, match=message):
        labelled.build(tmp_path / 'own.csv', data_dir=tmp_path / 'prepared', **options)


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(InputError, match='expected folders of classes'):
        labelled.build(tmp_path, data_dir=tmp_path / 'prepared')


def test_a_class_without_files_is_refused_by_name(tmp_path):
    (tmp_path / 'tree/a').mkdir(parents=True)
    (tmp_path / 'tree/a/1.jpg').write_bytes(scenes.jpeg(Image.new('RGB', (8, 8))))
    (tmp_path / 'tree/b').mkdir()
    (tmp_path / 'tree/b/notes.txt').write_text('to come')
    with pytest.raises(InputError, match='tree/b: expected photos or GeoTIFFs of this class'):
        labelled.build(tmp_path / 'tree', data_dir=tmp_path / 'prepared')
    assert not (tmp_path / 'prepared').exists()


def test_a_split_may_lack_a_class_that_another_has(tmp_path):
    for name in ('train/a/1.jpg', 'train/b/2.jpg', 'test/b/3.jpg'):
        (tmp_path / 'tree' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'tree' / name).write_bytes(scenes.jpeg(Image.new('RGB', (8, 8))))
    (tmp_path / 'tree/test/a').mkdir()
    labelled.build(tmp_path / 'tree', data_dir=tmp_path / 'prepared')
    assert [int(photo.labels['class']) for photo in found(tmp_path)[1]] == [0, 1, 1]
