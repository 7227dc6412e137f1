import numpy as np
import pytest
from PIL import Image

from gair_jax.builders import catalogue, labelled
from gair_jax.config import InputError
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
