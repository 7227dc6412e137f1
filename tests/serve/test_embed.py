import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.serve import embed, geoparquet, row_embedder, tile_batches
from gair_jax.serve.embed import EmbedOptions
from tests.builders import scenes
from tests.serve.embedding import CLOSE, KINDS, run, table_of, vectors
from tests.shared import shared


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'batch_rows'), [('tiny', 1), ('tiny', 100), ('tiny_release', 4)])
def test_the_table_holds_what_the_model_says(tmp_path, rows, request, name, batch_rows):
    model = request.getfixturevalue(name)
    made, table = run(model, tmp_path, rows, batch_rows=batch_rows)
    assert made.failed == 0 and made.rows == 6 and not made.errors.exists()
    assert made.widths == dict.fromkeys(KINDS, 16)
    lonlat = np.array([[row['lon'], row['lat']] for row in rows])
    np.testing.assert_allclose(vectors(table, 'location'), model.encode_location(lonlat), **CLOSE)
    photos = model.encode_sv([tmp_path / row['photo'] for row in rows])
    np.testing.assert_allclose(vectors(table, 'sv'), photos, **CLOSE)
    tiles = model.encode_rs([tmp_path / row['tile'] for row in rows])
    np.testing.assert_allclose(vectors(table, 'rs'), tiles, **CLOSE)
    at = [
        model.query(tmp_path / row['tile'], place[None])[0]
        for row, place in zip(rows, lonlat, strict=True)
    ]
    np.testing.assert_allclose(vectors(table, 'localized'), at, **CLOSE)
    np.testing.assert_array_equal(geoparquet.read_points(table['geometry']), lonlat)
    assert pq.ParquetFile(made.path).num_row_groups == -(-6 // batch_rows)
    assert sorted(os.listdir(tmp_path)) == ['o.parquet', 'photos', 't.csv', 'tiles']


def test_columns_are_kept_with_their_types_and_then_come_ours(tmp_path, tiny):
    made = pa.table(
        {
            'lon': pa.array([1.5, 2.5], pa.float32()),
            'lat': [3, 4],
            'tags': [['a'], None],
            'kind': pa.array(['x', 'y']).dictionary_encode(),
            'geometry': ['here', 'there'],
            'error': [True, False],
        }
    )
    pq.write_table(made, tmp_path / 't.parquet')
    _, table = run(tiny, tmp_path, tmp_path / 't.parquet')
    kept = ['lon', 'lat', 'tags', 'kind', 'geometry_input', 'error_input']
    assert table.column_names == [*kept, 'geometry', 'embedding_location', 'error']
    for name, old in zip(kept, made.column_names, strict=True):
        assert (
            table[name].type == made[old].type and table[name].to_pylist() == made[old].to_pylist()
        )
    made = made.append_column('error_input', [[1, 2]])
    pq.write_table(made, tmp_path / 't.parquet')
    with pytest.raises(
        InputError, match="'error' is written anew and would be kept as 'error_inpu"
    ):
        run(tiny, tmp_path, tmp_path / 't.parquet')


def test_a_photo_tells_where_it_was_taken(tmp_path, tiny):
    image = scenes.quadrants()
    (tmp_path / 'a.jpg').write_bytes(scenes.jpeg(image, exif=scenes.exif_with_gps(-70.5, -33.25)))
    (tmp_path / 'b.jpg').write_bytes(scenes.jpeg(image))
    rows = [{'photo': 'a.jpg'}, {'photo': 'b.jpg'}, {'photo': 'a.jpg'}]
    made, table = run(tiny, tmp_path, rows)
    # Nothing in the table says that b.jpg should have a place.
    assert made.failed == 0 and table['embedding_location'].null_count == 1
    np.testing.assert_allclose(
        geoparquet.read_points(table['geometry'])[[0, 2]], [[-70.5, -33.25]] * 2, atol=1e-6
    )
    rows = [{'photo': 'a.jpg', 'lon': '', 'lat': ''}, {'photo': 'b.jpg', 'lon': '', 'lat': ''}]
    made, table = run(tiny, tmp_path, rows, what=('location',))
    assert table['error'].to_pylist() == ['', 'no position: neither lon and lat nor EXIF GPS']
    assert table['embedding_location'].null_count == 1


def test_the_points_of_geoparquet_are_the_places(tmp_path, tiny):
    lonlat = np.array([[13.4, 52.5], [13.5, 52.6]])
    geo = geoparquet.metadata({})
    pq.write_table(
        pa.table({'geometry': geoparquet.points(lonlat)}).replace_schema_metadata(geo),
        tmp_path / 't.geoparquet',
    )
    _, table = run(tiny, tmp_path, tmp_path / 't.geoparquet')
    np.testing.assert_allclose(vectors(table, 'location'), tiny.encode_location(lonlat), **CLOSE)
    columns = json.loads(table.schema.metadata[b'geo'])['columns']
    assert columns['geometry']['bbox'] == [13.4, 52.5, 13.5, 52.6]
    assert set(columns) == {'geometry', 'geometry_input'}


def test_a_box_in_the_table_places_a_tile_without_georeference(tmp_path, tiny, rows):
    scenes.write_tile(tmp_path / 'tiles/free.tif', scenes.pixels(seed=0), crs='')
    box = {'left': 9.0, 'top': 48.0, 'right': 9.024, 'bottom': 47.98, 'crs': 'EPSG:4326'}
    free = [{**row, 'tile': 'tiles/free.tif', **box} for row in rows[:3]]
    _, table = run(tiny, tmp_path, free)
    _, expected = run(tiny, tmp_path, rows[:3])
    for kind in ('rs', 'localized'):
        np.testing.assert_allclose(vectors(table, kind), vectors(expected, kind), **CLOSE)


def test_a_tile_that_lies_nowhere_is_embedded_as_a_whole(tmp_path, tiny, rows):
    scenes.write_tile(tmp_path / 'tiles/free.tif', scenes.pixels(seed=0), crs='')
    made, table = run(tiny, tmp_path, [{**rows[0], 'tile': 'tiles/free.tif'}], what=('rs',))
    _, expected = run(tiny, tmp_path, rows[:1], what=('rs',))
    assert made.failed == 0
    np.testing.assert_allclose(vectors(table, 'rs'), vectors(expected, 'rs'), **CLOSE)


def test_the_first_of_several_dates_is_taken(tmp_path, tiny, rows):
    dated = [{**row, 'tile': f'{row["tile"]}; tiles/t1.tif'} for row in rows[:3]]
    _, table = run(tiny, tmp_path, dated)
    _, expected = run(tiny, tmp_path, rows[:3])
    np.testing.assert_allclose(vectors(table, 'rs'), vectors(expected, 'rs'), **CLOSE)


@pytest.mark.parametrize('by', ['option', 'column'])
def test_an_offset_is_taken_off_first(tmp_path, tiny, rows, by):
    for tile in range(2):
        bright = scenes.pixels(seed=tile) + 1000
        corner = (scenes.PLACE[0] + 0.1 * tile, scenes.PLACE[1])
        scenes.write_tile(tmp_path / f'tiles/bright{tile}.tif', bright.astype(np.uint16), corner)
    _, expected = run(tiny, tmp_path, rows)
    shifted = [{**row, 'tile': row['tile'].replace('/t', '/bright')} for row in rows]
    if by == 'column':
        shifted = [{**row, 'offset': 1000} for row in shifted]
    _, table = run(tiny, tmp_path, shifted, offset=1000.0 if by == 'option' else None)
    for kind in ('rs', 'localized'):
        np.testing.assert_allclose(vectors(table, kind), vectors(expected, kind), **CLOSE)


def test_a_raster_that_seems_to_carry_the_offset_is_told_once(tmp_path, tiny, rows, capsys):
    for tile in range(2):
        values = np.full((12, 20, 24), 1500, np.uint16)
        corner = (scenes.PLACE[0] + 0.1 * tile, scenes.PLACE[1])
        scenes.write_tile(tmp_path / f'tiles/t{tile}.tif', values, corner)
    run(tiny, tmp_path, rows, batch_rows=2)
    assert 1 <= capsys.readouterr().err.count('--offset 1000') <= row_embedder.INSPECTED


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_type_length_and_space_are_as_asked(tmp_path, tiny_release, rows, dtype):
    how = {'dtype': dtype, 'normalize': True, 'space': 'encoder', 'what': ('sv',)}
    _, table = run(tiny_release, tmp_path, rows, **how)
    assert table.schema.field('embedding_sv').type.value_type == pa.from_numpy_dtype(dtype)
    photos = [tmp_path / row['photo'] for row in rows]
    expected = tiny_release.encode_sv(photos, normalize=True, space='encoder')
    np.testing.assert_allclose(vectors(table, 'sv'), expected, atol=1e-3)
    made_by = geoparquet.read_provenance(tmp_path / 'o.parquet')
    assert made_by['space'] == 'encoder' and made_by['normalize'] and made_by['dtype'] == dtype
    assert made_by['columns']['photo'] == 'photo' and made_by['rows'] == 6
    assert made_by['checkpoint']['sha256'] == tiny_release.origin.sha256


def test_a_model_makes_what_it_has_encoders_for(tmp_path, tiny_place, rows):
    made, table = run(tiny_place, tmp_path, rows)
    assert list(made.widths) == ['location'] and made.failed == 0
    with pytest.raises(InputError, match="what=sv: .*encoder 'sv', found location"):
        run(tiny_place, tmp_path, rows, what=('sv',))


@pytest.mark.parametrize('most', [1, 4, 100])
def test_windows_of_many_tiles_share_batches(tmp_path, tiny, rows, monkeypatch, most):
    """Whatever the size of a batch, and whichever tiles meet in it."""
    _, expected = run(tiny, tmp_path, rows)
    monkeypatch.setattr(tile_batches, 'BATCH', most)
    monkeypatch.setattr(tile_batches, 'CHUNK', 3)
    _, table = run(tiny, tmp_path, rows)
    for kind in ('rs', 'localized'):
        np.testing.assert_allclose(vectors(table, kind), vectors(expected, kind), **CLOSE)


def test_the_verb_embeds_and_says_so(tmp_path, tiny_checkpoint, rows, capsys):
    renamed = [{'pic': row['photo'], 'x': row['lon'], 'y': row['lat']} for row in rows]
    table, out = table_of(tmp_path, renamed), tmp_path / 'new' / 'o.parquet'
    words = ['embed', str(table), '--checkpoint', str(tiny_checkpoint), '--out', str(out)]
    words += ['--columns', 'photo=pic,lon=x,lat=y', '--what', 'sv,location']
    assert cli.main([*words, '--root', str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f'{out}: 6 rows, embedding_location (16), embedding_sv (16), ' in said
    renamed[2]['pic'] = 'none.jpg'
    table_of(tmp_path, renamed)
    assert cli.main([*words, '--root', str(tmp_path)]) == 1
    assert '1 of 6 rows failed; ' in capsys.readouterr().out
    assert cli.main([*words, '--root', str(tmp_path), '--max-failed', '0.1']) == 2
    assert 'at most 10% may' in capsys.readouterr().err


def test_the_compute_type_is_as_asked_and_told(tmp_path, tiny_checkpoint, rows):
    table, found = table_of(tmp_path, rows), {}
    for name in ('float32', 'bfloat16'):
        out = tmp_path / f'{name}.parquet'
        words = ['embed', str(table), '--checkpoint', str(tiny_checkpoint), '--out', str(out)]
        assert cli.main([*words, '--root', str(tmp_path), '--compute', name]) == 0
        read = pq.read_table(out)
        told = json.loads(read.schema.metadata[b'gair_jax'])
        assert told['config']['model']['dtype'] == name
        found[name] = vectors(read, 'sv')
    difference = np.abs(found['bfloat16'] - found['float32']).max()
    assert 0 < difference < 0.05 * np.abs(found['float32']).max()


def test_help_answers_without_anything_heavy():
    code = (
        'import sys\nfrom gair_jax import cli\n'
        'try: cli.main(["embed", "--help"])\n'
        'except SystemExit: pass\n'
        'print([m for m in ("jax", "numpy", "pyarrow", "rasterio") if m in sys.modules])'
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert ran.stdout.strip().endswith('[]'), ran.stderr
    assert 'gair embed places.csv' in ran.stdout


def test_real_triples_are_embedded(tmp_path, tiny_release):
    table = shared('data/gair_examples/examples.csv')
    columns = {'photo': 'sv_image', 'tile': 'rs_image'}
    options = EmbedOptions(columns=columns, root=table.parent, basename=True)
    made = embed.write(tiny_release, table, tmp_path / 'o.parquet', options)
    assert (made.rows, made.failed) == (3, 0) and list(made.widths) == list(KINDS)
    found = pq.read_table(made.path)
    assert all(np.isfinite(vectors(found, kind)).all() for kind in KINDS)
