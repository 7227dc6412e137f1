import collections

import numpy as np

from gair_jax.builders.photos import chunks
from tests.builders import scenes
from tests.builders.imports import build, everything, opened, reasons


def splits_of(folder):
    source, homes = opened(folder), collections.defaultdict(set)
    for split in source.splits:
        for photo in source.photos(split):
            homes[photo.tile].add(split)
    return homes, source.splits


def test_splits_are_drawn_by_tile(tmp_path):
    build(tmp_path, scenes.write_set(tmp_path, tiles=40, photos=2), fractions=(0.5, 0.25, 0.25))
    homes, splits = splits_of(tmp_path)
    assert len(homes) == 40 and all(len(names) == 1 for names in homes.values())
    assert set(splits) == {'train', 'val', 'test'} and all(n % 2 == 0 for n in splits.values())


def test_the_draw_follows_fractions_and_seed_and_not_the_other_tiles():
    keys = [f'tile{number}' for number in range(4000)]
    drawn = [chunks.draw_split(key, (0.8, 0.1, 0.1), 0) for key in keys]
    counts = collections.Counter(drawn)
    # Four standard deviations of a binomial of 4000 draws at 0.8 and at 0.1.
    assert abs(counts['train'] - 3200) < 4 * 25.3 and abs(counts['val'] - 400) < 4 * 19.0
    assert drawn != [chunks.draw_split(key, (0.8, 0.1, 0.1), 1) for key in keys]
    assert {chunks.draw_split(key, (0, 0, 1), 0) for key in keys} == {'test'}
    assert {chunks.draw_split(key, (1, 0, 0), 0) for key in keys} == {'train'}


def test_a_split_column_is_followed(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=3, photos=2)
    for number, row in enumerate(rows):
        row['part'] = ('train', 'val', 'test')[number // 2]
    report = build(tmp_path, rows, columns={'split': 'part'})
    assert report.splits == {'train': 2, 'val': 2, 'test': 2}
    assert {p.id for p in opened(tmp_path).photos('val')} == {'p1_0', 'p1_1'}


def test_photos_without_tiles_are_split_by_cell(tmp_path):
    rows = []
    for row in scenes.write_set(tmp_path, tiles=30, photos=2):
        rows.append({**row, 'tile': ''})
    report = build(tmp_path, rows)
    assert report.tiles == 0 and len(report.splits) > 1
    by_cell = collections.defaultdict(set)
    source = opened(tmp_path)
    for split in source.splits:
        for photo in source.photos(split):
            assert photo.tile == -1 and photo.acquisitions == [] and photo.photo
            by_cell[chunks.cell_key(list(photo.lonlat))].add(split)
    assert all(len(names) == 1 for names in by_cell.values())
    assert len(source.tiles) == 0


def test_tiles_without_photos_are_places(tmp_path):
    rows = [{**row, 'photo': ''} for row in scenes.write_set(tmp_path, tiles=2, photos=2)]
    build(tmp_path, rows)
    found = everything(opened(tmp_path))
    assert len(found) == 4 and all(photo.photo == b'' for photo in found.values())
    assert sorted(photo.tile for photo in found.values()) == [0, 0, 1, 1]


def test_a_tile_of_several_dates_is_stored_once_in_their_order(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=1, photos=2)
    scenes.write_tile(tmp_path / 'tiles/t0_winter.tif', scenes.pixels(seed=9))
    for row in rows:
        row['tile'] = 'tiles/t0.tif; tiles/t0_winter.tif'
        row['tile_date'] = '2024-07-01;2024-01-01'
    assert build(tmp_path, rows).tiles == 2
    source = opened(tmp_path)
    for photo in source.photos('train'):
        dates = [source.tiles[row] for row in photo.acquisitions]
        assert [date.date for date in dates] == ['2024-01-01', '2024-07-01']
        assert dates[0].id == 'tiles/t0_winter.tif'


def test_lonlat_may_come_from_exif(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=1, photos=2)
    for row in rows:
        exif = scenes.exif_with_gps(row.pop('lon'), row.pop('lat'))
        (tmp_path / row['photo']).write_bytes(scenes.jpeg(scenes.quadrants(), exif=exif))
    build(tmp_path, rows)
    found = everything(opened(tmp_path))
    for number in range(2):
        expected = scenes.inside(number)
        np.testing.assert_allclose(found[f'p0_{number}'].lonlat, expected, atol=0.0006 / 3600)


def test_a_photo_without_any_position_fails(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=1, photos=2)
    rows[1]['lon'] = rows[1]['lat'] = ''
    build(tmp_path, rows, max_failed=0.5)
    assert reasons(tmp_path)['p0_1'].startswith('no position: neither lon and lat nor EXIF GPS')


def test_boxes_of_the_table_place_bare_rasters(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=1, photos=1)
    scenes.write_tile(tmp_path / 'tiles/t0.tif', crs='')
    box = {'left': 9.0, 'top': 48.0, 'right': 9.024, 'bottom': 47.98, 'crs': 'EPSG:4326'}
    build(tmp_path, [{**rows[0], **box}])
    assert list(opened(tmp_path).tiles[0].bounds) == [9.0, 48.0, 9.024, 47.98]
