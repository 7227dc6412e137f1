import datetime
import math
import re

import pyarrow as pa
import pyarrow.parquet
import pytest

from gair_jax.builders.photos import tables
from gair_jax.config import InputError
from tests.builders import scenes


def judged(tmp_path, *rows, columns=None, basename=False):
    """Rows of a table that has every column of `scenes.write_set`, with some cells changed."""
    good = scenes.write_set(tmp_path, tiles=2, photos=2)
    names = {name: '' for row in rows for name in row} | dict.fromkeys(good[0], '')
    cells = [{**names, **{k: str(v) for k, v in good[0].items()}, **row} for row in rows]
    named = tables.name_columns(tmp_path / 't.csv', list(names), columns or {})
    return tables.judge(cells, named, tables.Files(tmp_path, basename))


def test_csv_and_parquet_give_the_same_cells(tmp_path):
    rows = [
        {
            'id': 9007199254740993,
            'lon': 0.1 + 0.2,
            'date': datetime.date(2024, 5, 1),
            'group': None,
        },
        {'id': 2, 'lon': None, 'date': None, 'group': 'Łódź'},
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / 't.parquet')
    lines = [
        'id,lon,date,group',
        '9007199254740993,0.30000000000000004,2024-05-01,',
        '2,,,Łódź',
        '',
    ]
    (tmp_path / 't.csv').write_text('\n'.join(lines), encoding='utf-8-sig')
    found = tables.read(tmp_path / 't.csv')
    assert found == tables.read(tmp_path / 't.parquet')
    assert found[0]['lon'] == '0.30000000000000004' and found[1]['group'] == 'Łódź'


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('t.csv', b'', 'no rows'),
        ('t.csv', b'photo,lon,lat\n', 'no rows'),
        ('t.csv', b'\xff\xd8\xff\xe0\x00\x10', 'cannot be read as a table'),
        ('t.csv', b'photo,lon,lon\na,1,2\n', "found 'lon' twice"),
        ('t.csv', b'photo,lon,lat\na,1,2\nb,1\n', 'line 3 has 2 cells, and the header 3'),
        ('t.parquet', b'photo,lon,lat\na,1,2\n', 'cannot be read as a table'),
        ('t.xlsx', b'', r'\*.csv or \*.parquet'),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        tables.read(tmp_path / name)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(InputError, match='no such table'):
        tables.read(tmp_path / 't.csv')


def test_columns_go_by_mapping_and_else_by_their_own_name(tmp_path):
    named = tables.name_columns(tmp_path, ['lon', 'lat', 'pic', 'photo'], {'photo': 'pic'})
    assert named == {'photo': 'pic', 'lon': 'lon', 'lat': 'lat'}


@pytest.mark.parametrize(
    ('found', 'columns', 'message'),
    [
        (['lon', 'lat', 'pic'], {'photo': 'picture'}, "column 'picture' .for photo. is missing"),
        (['lon', 'lat', 'pic'], {'foto': 'pic'}, "'foto' is unknown"),
        (['lon', 'lat', 'pic'], {}, 'expected a column for photo or tile'),
        (['tile', 'x', 'y'], {}, 'expected columns for lon and lat'),
    ],
)
def test_missing_columns_are_named(tmp_path, found, columns, message):
    with pytest.raises(InputError, match=message):
        tables.name_columns(tmp_path / 't.csv', found, columns)


def test_a_good_row_is_read_whole(tmp_path):
    (row,) = judged(tmp_path, {'heading': '-90', 'tile_date': '2023-02-01'})
    assert row.problem == '' and row.heading == 270.0 and row.tile_dates == ['2023-02-01']
    assert row.photo == 'photos/p0_0.jpg' and row.tiles == ['tiles/t0.tif']
    assert row.lonlat == list(scenes.inside(0)) and row.located


@pytest.mark.parametrize(
    ('cells', 'kind'),
    [
        ({'lon': '13,5'}, 'lon is no number'),
        ({'lat': 'inf'}, 'lat is no number'),
        ({'lat': ''}, 'no position'),
        ({'lon': '48.0', 'lat': '100.0'}, 'not a place on earth: .*swapped'),
        ({'lon': '200', 'lat': '200'}, 'not a place on earth'),
        ({'heading': 'north'}, 'heading is no number'),
        ({'date': 'May 2024'}, 'date is no ISO date'),
        ({'split': 'validation'}, 'unknown split'),
        ({'split': ''}, 'unknown split'),
        ({'photo': '', 'tile': ''}, 'neither photo nor tile'),
        ({'photo': 'photos/none.jpg'}, 'file not found'),
        ({'tile': 'tiles/t0.tif;tiles/none.tif'}, 'file not found'),
        ({'photo': '/etc/passwd'}, 'file outside the root'),
        ({'photo': '../photos/p0_0.jpg'}, 'file outside the root'),
        ({'photo': 'photos/../../x.jpg'}, 'file outside the root'),
        ({'tile_date': '2024-01-01;2024-02-01'}, 'tile_date: expected 1 dates, found 2'),
        ({'left': 'west'}, 'left is no number'),
    ],
)
def test_a_bad_cell_is_told_by_kind(tmp_path, cells, kind):
    (row,) = judged(tmp_path, cells)
    assert re.match(kind, row.problem), row.problem


@pytest.mark.parametrize(
    ('second', 'kind'),
    [
        ({'id': 'p0_0'}, 'id not unique: p0_0 is also that of row 1'),
        ({'split': 'test'}, 'tile in two splits: tiles/t0.tif, see row 1'),
        ({'tile': 'tiles/t0.tif;tiles/t1.tif'}, 'tile listed in two ways: tiles/t0.tif, see row 1'),
        ({'left': '1', 'right': '2', 'top': '4', 'bottom': '3', 'crs': 'x'}, 'tile with two boxes'),
    ],
)
def test_rows_that_contradict_each_other_are_told(tmp_path, second, kind):
    first = {'split': 'train'}
    rows = judged(tmp_path, first, {'id': 'other', **first, **second})
    assert rows[0].problem == '' and rows[1].problem.startswith(kind)


def test_a_photo_may_tell_its_place_by_itself(tmp_path):
    (row,) = judged(tmp_path, {'lon': '', 'lat': ''})
    assert row.problem == '' and not row.located and math.isnan(row.lonlat[1])


def test_files_are_found_by_base_name_below_the_root(tmp_path):
    rows = judged(
        tmp_path,
        {'photo': 'elsewhere/p0_0.jpg', 'tile': 'C:\\old\\t0.tif'},
        {'photo': 'p9_9.jpg', 'id': 'b'},
        basename=True,
    )
    assert rows[0].photo == 'photos/p0_0.jpg' and rows[0].tiles == ['tiles/t0.tif']
    assert rows[1].problem.startswith('file not found')


def test_a_base_name_that_is_there_twice_is_not_guessed(tmp_path):
    scenes.write_set(tmp_path, tiles=1, photos=1)
    (tmp_path / 'copy').mkdir()
    (tmp_path / 'copy/t0.tif').write_bytes(b'')
    (row,) = judged(tmp_path, {}, basename=True)
    assert row.problem.startswith('file name not unique: tiles/t0.tif')


def test_an_absent_root_is_refused(tmp_path):
    with pytest.raises(InputError, match='expected a folder'):
        tables.Files(tmp_path / 'none', basename=False)
