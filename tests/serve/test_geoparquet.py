import dataclasses
import json
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest

from gair_jax.config import InputError
from gair_jax.serve import geoparquet

LONLAT = np.array([[13.4, 52.5], [np.nan, 1.0], [-180.0, -90.0]])


def test_points_are_wkb_and_read_back_bit_for_bit():
    column = geoparquet.points(LONLAT)
    # OGC 06-103r4, 8.2: byte order 1 (little endian), type 1 (point), x, y.
    assert column[0].as_py() == struct.pack('<BIdd', 1, 1, 13.4, 52.5)
    assert column[1].as_py() is None
    found = geoparquet.read_points(column)
    np.testing.assert_array_equal(found[[0, 2]], LONLAT[[0, 2]])
    assert np.isnan(found[1]).all()


@pytest.mark.parametrize(
    'raw',
    [
        struct.pack('>BIdd', 0, 1, 1, 2),
        struct.pack('<BIddd', 1, 1001, 1, 2, 3),
        struct.pack('<BIdddd', 1, 3001, 1, 2, 3, 4),
        struct.pack('<BIddd', 1, 0x80000001, 1, 2, 3),
    ],
)
def test_points_of_other_byte_order_and_with_height_are_read(raw):
    assert geoparquet.read_point(raw) == (1, 2)


@pytest.mark.parametrize(
    'raw',
    [
        b'',
        b'\x01\x01\x00\x00\x00',
        struct.pack('<BII4d', 1, 2, 2, 0, 0, 1, 1),
        struct.pack('<BIIdd', 1, 0x20000001, 4326, 1, 2),
    ],
)
def test_what_is_no_point_is_refused_by_row(raw):
    good = geoparquet.points(LONLAT[:1])[0].as_py()
    with pytest.raises(InputError, match='expected WKB points, found another shape in row 2'):
        geoparquet.read_points(pa.array([good, raw], pa.binary()))


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_embeddings_are_fixed_size_lists_null_where_unknown(dtype):
    values = np.arange(6, dtype=np.float32).reshape(3, 2) / 3
    column = geoparquet.embeddings(values, np.array([True, False, True]), dtype)
    assert column.type.list_size == 2 and column.null_count == 1
    np.testing.assert_array_equal(column.to_pylist()[2], values[2].astype(dtype))


def test_metadata_names_the_crs_and_the_provenance(tmp_path, tiny):
    made_by = geoparquet.provenance(tiny, what=['sv'])
    about = geoparquet.metadata(made_by, (1.0, 2.0, 3.0, 4.0), {'spot': {'encoding': 'WKB'}})
    table = pa.table({'geometry': geoparquet.points(LONLAT)}).replace_schema_metadata(about)
    geoparquet.write(table, tmp_path / 't.parquet')
    geo = json.loads(pq.read_schema(tmp_path / 't.parquet').metadata[b'geo'])
    assert geo['primary_column'] == 'geometry' and set(geo['columns']) == {'geometry', 'spot'}
    column = geo['columns']['geometry']
    assert pyproj.CRS.from_json_dict(column['crs']) == pyproj.CRS('OGC:CRS84')
    assert column['bbox'] == [1, 2, 3, 4] and column['geometry_types'] == ['Point']
    found = geoparquet.read_provenance(tmp_path / 't.parquet')
    assert found == json.loads(json.dumps(made_by))
    assert found['checkpoint'] == dataclasses.asdict(tiny.origin)
    assert len(found['checkpoint']['sha256']) == 64 and found['what'] == ['sv']
    assert found['config']['model']['embed_dim'] == 16


def test_a_table_of_other_origin_has_no_provenance(tmp_path):
    pq.write_table(pa.table({'a': [1]}), tmp_path / 't.parquet')
    assert geoparquet.read_provenance(tmp_path / 't.parquet') == {}


def test_a_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match='none'):
        geoparquet.write(pa.table({'a': [1]}), tmp_path / 'none' / 't.parquet')
    assert list(tmp_path.iterdir()) == []
