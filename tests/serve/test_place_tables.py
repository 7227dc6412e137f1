import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest

from gair_jax.config import InputError
from gair_jax.serve import geoparquet, place_tables


def csv(tmp_path, text, encoding='utf-8'):
    path = tmp_path / 't.csv'
    path.write_bytes(text.encode(encoding))
    return place_tables.open_table(path)


def whole(table, rows=1000):
    return pa.concat_tables(table.batches(rows))


@pytest.mark.parametrize(
    ('cells', 'kind'),
    [
        (['1', '-20', ''], pa.int64()),
        (['1', '2.5', ''], pa.float64()),
        (['1e3', 'nan'], pa.float64()),
        (['007', '8'], pa.string()),
        (['0.07', '-8'], pa.float64()),
        (['1', '12345678901234567890123'], pa.string()),
        (['483343130885198765', '2'], pa.int64()),
        (['483343130885198765', '2.5'], pa.string()),
        (['1', 'x'], pa.string()),
        (['', ''], pa.int64()),
    ],
)
def test_a_column_of_a_csv_has_the_type_of_all_its_cells(tmp_path, cells, kind):
    table = csv(tmp_path, 'a,b\n' + ''.join(f'{cell},z\n' for cell in cells))
    assert table.schema.field('a').type == kind and table.rows == len(cells)
    assert whole(table)['a'].null_count == cells.count('')


def test_a_type_that_only_the_last_rows_tell_holds_for_the_first(tmp_path):
    """Blocks of a CSV are read one by one; a text cell far down must not break the run."""
    lines = ['a,b', *(f'{i},{"x" * 100}' for i in range(30_000)), 'last,y']
    table = csv(tmp_path, '\n'.join(lines))
    assert table.schema.field('a').type == pa.string()
    found = whole(table)
    assert found.num_rows == 30_001 and found['a'][-1].as_py() == 'last'


def test_quotes_line_breaks_and_a_mark_of_utf8_are_read(tmp_path):
    table = csv(tmp_path, 'a,b\n"x, ""y""\nz",1\n"",2\n', 'utf-8-sig')
    assert whole(table).to_pylist() == [{'a': 'x, "y"\nz', 'b': 1}, {'a': None, 'b': 2}]


@pytest.mark.parametrize('size', [1, 3, 7, 10, 64])
@pytest.mark.parametrize('group', [2, 5, 100])
def test_batches_have_the_asked_for_length_whatever_the_row_groups(tmp_path, size, group):
    made = pa.table({'a': range(20), 'b': [[float(i)] for i in range(20)]})
    pq.write_table(made, tmp_path / 't.parquet', row_group_size=group)
    found = list(place_tables.open_table(tmp_path / 't.parquet').batches(size))
    assert [len(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    assert pa.concat_tables(found).combine_chunks() == made


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('t.csv', b'', 'no rows'),
        ('t.csv', b'a,b\n', 'no rows'),
        ('t.csv', b'a,a\n1,2\n', "found 'a' twice"),
        ('t.csv', b'a,b\n1,2\n3\n', 'Row #3: Expected 2 columns, got 1'),
        ('t.csv', b'a,b\n\xff\xd8,2\n', 'cannot be read as a table'),
        ('t.parquet', b'a,b\n1,2\n', 'cannot be read as a table'),
        ('t.xlsx', b'', r'\*.csv, \*.parquet'),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        place_tables.open_table(tmp_path / name)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(InputError, match='no such table'):
        place_tables.open_table(tmp_path / 't.csv')


def geo_table(path, column, about):
    """A GeoParquet file of one geometry column `spot`."""
    geo = {'version': '1.1.0', 'primary_column': 'spot', 'columns': {'spot': about}}
    made = pa.table({'spot': column}).replace_schema_metadata({'geo': json.dumps(geo)})
    pq.write_table(made, path)
    return place_tables.open_table(path)


def places(table):
    return place_tables.points(table, whole(table))


LONLAT = np.array([[13.4, 52.5], [np.nan, np.nan], [13.6, 52.6]])


def test_the_crs_of_the_points_is_honoured(tmp_path):
    utm = pyproj.CRS('EPSG:32633')
    xy = np.stack(pyproj.Transformer.from_crs(4326, utm, always_xy=True).transform(*LONLAT.T), -1)
    xy[1] = np.nan
    about = {'encoding': 'WKB', 'crs': json.loads(utm.to_json())}
    found = places(geo_table(tmp_path / 't.parquet', geoparquet.points(xy), about))
    np.testing.assert_allclose(found, LONLAT, atol=1e-9)


def test_without_a_crs_points_are_longitude_and_latitude(tmp_path):
    table = geo_table(tmp_path / 't.parquet', geoparquet.points(LONLAT), {'encoding': 'WKB'})
    np.testing.assert_array_equal(places(table), LONLAT)


def test_points_may_be_structs_of_x_and_y(tmp_path):
    column = pa.array([{'x': 1.0, 'y': 2.0}, None])
    table = geo_table(tmp_path / 't.geoparquet', column, {'encoding': 'point'})
    np.testing.assert_array_equal(places(table), [[1, 2], [np.nan, np.nan]])


def test_other_shapes_have_no_place(tmp_path):
    line = struct.pack('<BII4d', 1, 2, 2, 0, 0, 1, 1)
    column = pa.array([line, b'', b'\x01\x01'], pa.binary())
    table = geo_table(tmp_path / 't.parquet', column, {'encoding': 'WKB'})
    assert np.isinf(places(table)).all()


@pytest.mark.parametrize(
    ('crs', 'message'), [(None, 'expected a CRS, found none'), ({'type': 'x'}, 'CRS is unknown')]
)
def test_an_unknown_crs_is_refused(tmp_path, crs, message):
    about = {'encoding': 'WKB', 'crs': crs}
    table = geo_table(tmp_path / 't.parquet', geoparquet.points(LONLAT), about)
    with pytest.raises(InputError, match=message):
        places(table)
