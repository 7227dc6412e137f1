"""`gair query`: points to GeoParquet, grids to GeoTIFF, Zarr and GeoParquet."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import rasterio
import zarr

from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.serve import geoparquet, point_query, scene_map
from gair_jax.serve.cells import Spacing
from gair_jax.serve.scene_cells import Sampling
from tests.serve import map_scenes

HOLE = (20, 16, 12, 12)
GRID = Sampling(spacing=Spacing(4))


@pytest.fixture(scope='module')
def tile(tmp_path_factory):
    return map_scenes.write(tmp_path_factory.mktemp('tile') / 'tile.tif', hole=HOLE)


def lonlat(pixels):
    """Places of pixel positions (x, y) of the tile, by pyproj alone."""
    x, y = map_scenes.CORNER[0] + 10 * pixels[:, 0], map_scenes.CORNER[1] - 10 * pixels[:, 1]
    to_degrees = pyproj.Transformer.from_crs(map_scenes.CRS, 'EPSG:4326', always_xy=True)
    return np.stack(to_degrees.transform(x, y), axis=-1)


def pixels(n=12):
    found = np.random.default_rng(0).random((n, 2)) * (52, 60)
    found[3] = 20, 25  # in the hole
    return found


def write_csv(path, places, names=('lon', 'lat')):
    rows = [f'p{i},{lon!r},{lat!r}' for i, (lon, lat) in enumerate(places.tolist())]
    path.write_text('\n'.join([f'name,{names[0]},{names[1]}', *rows]) + '\n')
    return path


def embeddings_of(table):
    return np.array([row or [np.nan] * 16 for row in table['embedding_localized'].to_pylist()])


def test_points_of_a_table(tiny, tile, tmp_path):
    places = lonlat(pixels())
    points = point_query.from_table(write_csv(tmp_path / 'p.csv', places), {})
    written = point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)
    table = pq.read_table(tmp_path / 'o.parquet')
    assert table.column_names == ['name', 'lon', 'lat', 'geometry', 'embedding_localized', 'error']
    assert table['name'].to_pylist() == [f'p{i}' for i in range(12)]
    np.testing.assert_array_equal(geoparquet.read_points(table['geometry']), places)
    expected = tiny.query(tile, places)
    found = embeddings_of(table)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), np.arange(12) == 3)
    keep = np.arange(12) != 3
    np.testing.assert_allclose(found[keep], expected[keep], atol=1e-6)
    errors = table['error'].to_pylist()
    assert 'no data' in errors[3] and not any(errors[:3] + errors[4:])
    assert (written.rows, written.without_data) == (12, 1)
    assert geoparquet.read_provenance(tmp_path / 'o.parquet')['tile'][0] == str(tile)


@pytest.mark.slow
def test_batches_change_nothing_and_columns_are_named(tiny, tile, tmp_path, monkeypatch):
    places = lonlat(np.random.default_rng(1).random((700, 2)) * (52, 60))
    csv = write_csv(tmp_path / 'p.csv', places, names=('x', 'y'))
    points = point_query.from_table(csv, {'lon': 'x', 'lat': 'y'})
    point_query.write(tiny, tile, points, tmp_path / 'a.parquet', GRID)
    monkeypatch.setattr(point_query, 'MEMORY', 1)  # 256 rows at a time
    point_query.write(tiny, tile, points, tmp_path / 'b.parquet', GRID)
    a, b = (embeddings_of(pq.read_table(tmp_path / name)) for name in ('a.parquet', 'b.parquet'))
    assert a.shape == (700, 16)
    np.testing.assert_allclose(a, b, atol=1e-6)
    assert pq.ParquetFile(tmp_path / 'b.parquet').num_row_groups == 3


def test_a_stopped_query_goes_on(tiny, tile, tmp_path, monkeypatch):
    places = lonlat(np.random.default_rng(1).random((700, 2)) * (52, 60))
    points = point_query.from_table(write_csv(tmp_path / 'p.csv', places), {})
    monkeypatch.setattr(point_query, 'MEMORY', 1)
    calls, embed = [], point_query._embedded

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return embed(*arguments)

    monkeypatch.setattr(point_query, '_embedded', stopping)
    with pytest.raises(KeyboardInterrupt):
        point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)
    assert not (tmp_path / 'o.parquet').exists()
    point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)
    assert len(calls) == 4  # one finished, one stopped, two left
    assert sorted(path.name for path in tmp_path.iterdir()) == ['o.parquet', 'p.csv']


def test_a_geoparquet_is_read_by_its_points(tiny, tile, tmp_path):
    places = lonlat(pixels())
    source = pa.table({'id': list(range(12)), 'geometry': geoparquet.points(places)})
    pq.write_table(source.replace_schema_metadata(geoparquet.metadata({})), tmp_path / 'p.parquet')
    points = point_query.from_table(tmp_path / 'p.parquet', {})
    point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID, dtype='float16')
    table = pq.read_table(tmp_path / 'o.parquet')
    assert table.column_names == ['id', 'geometry', 'embedding_localized', 'error']
    assert table.schema.field('embedding_localized').type.value_type == pa.float16()
    np.testing.assert_allclose(geoparquet.read_points(table['geometry']), places, atol=1e-12)


def test_the_row_of_a_place_outside_is_named(tiny, tile, tmp_path):
    places = lonlat(pixels())
    turned = places[7, ::-1].copy()
    for wrong, words in (
        ((9.2, 47.8), 'row 8: lon 9.2.*outside its tile'),
        (turned, 'row 8.*swapped'),
    ):
        places[7] = wrong
        points = point_query.from_table(write_csv(tmp_path / 'p.csv', places), {})
        with pytest.raises(InputError, match=words):
            point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)
    assert [path.name for path in tmp_path.iterdir()] == ['p.csv']


def test_rows_are_counted_over_batches(tiny, tile, tmp_path, monkeypatch):
    monkeypatch.setattr(point_query, 'MEMORY', 1)  # 256 rows at a time
    places = lonlat(np.random.default_rng(1).random((300, 2)) * (52, 60))
    places[280] = 9.2, 47.8
    points = point_query.from_table(write_csv(tmp_path / 'p.csv', places), {})
    with pytest.raises(InputError, match='row 281: lon 9.2'):
        point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)


def test_the_border_of_the_tile_belongs_to_it(tiny, tile, tmp_path):
    corners = lonlat(np.array([[0, 0], [52, 0], [0, 60], [52, 60]], float))
    points = point_query.from_places(corners.tolist())
    written = point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)
    assert (written.rows, written.without_data) == (4, 0)


@pytest.mark.parametrize(
    ('header', 'columns', 'words'),
    [
        ('name,lon,latitude', {}, 'expected columns lon and lat'),
        ('name,lon,lat', {'lon': 'x'}, "'x'.*missing"),
        ('name,lon,lat', {'where': 'lon'}, "'where' is unknown"),
    ],
)
def test_columns_that_are_not_there(tmp_path, header, columns, words):
    (tmp_path / 'p.csv').write_text(f'{header}\na,9,48\n')
    with pytest.raises(InputError, match=words):
        point_query.from_table(tmp_path / 'p.csv', columns)


def test_a_word_is_no_coordinate(tiny, tile, tmp_path):
    (tmp_path / 'p.csv').write_text('lon,lat\n9,48\neast,48\n')
    points = point_query.from_table(tmp_path / 'p.csv', {})
    with pytest.raises(InputError, match='expected numbers in lon and lat'):
        point_query.write(tiny, tile, points, tmp_path / 'o.parquet', GRID)


def test_the_three_forms_of_a_grid_agree(tiny, tile, tmp_path):
    for name in ('g.tif', 'g.zarr', 'g.parquet'):
        scene_map.write(tiny, tile, tmp_path / name, GRID, dtype='float32', memory=40_000)
    with rasterio.open(tmp_path / 'g.tif') as file:
        expected, transform = np.moveaxis(file.read(), 0, -1), file.transform
    group = zarr.open_group(tmp_path / 'g.zarr', mode='r')
    np.testing.assert_array_equal(group['embedding'][:], expected)
    centres = [transform * (col + 0.5, row + 0.5) for row, col in ((0, 0), (14, 12))]
    np.testing.assert_allclose(group['x'][:][[0, -1]], [c[0] for c in centres])
    np.testing.assert_allclose(group['y'][:][[0, -1]], [c[1] for c in centres])
    table = pq.read_table(tmp_path / 'g.parquet')
    row, col = table['row'].to_numpy(), table['col'].to_numpy()
    known = ~np.isnan(expected).any(axis=-1)
    assert len(row) == known.sum() and known[row, col].all()
    np.testing.assert_array_equal(embeddings_of(table), expected[row, col])
    middle = np.stack([col + 0.5, row + 0.5], axis=-1) * 4
    np.testing.assert_allclose(geoparquet.read_points(table['geometry']), lonlat(middle), atol=1e-9)


def test_zarr_says_what_xarray_reads(tiny, tile, tmp_path):
    scene_map.write(tiny, tile, tmp_path / 'g.zarr', GRID, dtype='float16')
    group = zarr.open_group(tmp_path / 'g.zarr', mode='r')
    embedding = group['embedding']
    assert embedding.metadata.dimension_names == ('y', 'x', 'd')
    assert group['x'].metadata.dimension_names == ('x',)
    assert embedding.attrs['grid_mapping'] == 'spatial_ref'
    assert pyproj.CRS.from_wkt(group['spatial_ref'].attrs['crs_wkt']) == map_scenes.CRS
    assert group.attrs['crs'] == map_scenes.CRS
    assert group.attrs['gair_jax']['checkpoint']['sha256'] == tiny.origin.sha256
    assert np.isnan(embedding.fill_value) and embedding.dtype == np.float16


def test_a_grid_is_written_over_an_older_one(tiny, tile, tmp_path):
    for size in (4, 8):
        scene_map.write(
            tiny, tile, tmp_path / 'g.zarr', Sampling(spacing=Spacing(size)), dtype='float32'
        )
    assert zarr.open_group(tmp_path / 'g.zarr', mode='r')['embedding'].shape == (7, 6, 16)


def test_the_command_takes_places_and_grids(tiny_checkpoint, tile, tmp_path, capsys):
    lon, lat = lonlat(np.array([[30.0, 30.0]]))[0]
    common = ['query', str(tile), '--checkpoint', str(tiny_checkpoint), '--out']
    at = f'--at={lon},{lat}'
    assert cli.main([*common, str(tmp_path / 'p.parquet'), at, at]) == 0
    assert '2 places' in capsys.readouterr().out
    assert cli.main([*common, str(tmp_path / 'g.zarr'), '--spacing-m', '100']) == 0
    assert '5 x 6 cells, 16 float32 bands' in capsys.readouterr().out
