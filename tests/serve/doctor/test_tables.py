"""Tables: each rule on a table that has it and one that does not."""

import csv
import io
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gair_jax.serve import doctor, geoparquet
from gair_jax.serve.doctor import tables
from tests.builders.scenes import write_set, write_table
from tests.serve.doctor.made import fine, only, texts

PLACES = [(9.18, 48.77), (103.8, 1.3), (-83.25, 42.48), (-0.7, 38.1)]


def places(folder, pairs=tuple(PLACES), name='places.csv', **more):
    rows = [{'id': n, 'lon': lon, 'lat': lat, **more} for n, (lon, lat) in enumerate(pairs)]
    return write_table(folder / name, rows)


def written(folder, text, name='places.csv', encoding='utf-8'):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_sound_table_is_fine(tmp_path):
    path = places(tmp_path)
    assert fine(path)
    assert '4 rows, 4 with a place' in texts(path)[0]
    assert fine(written(tmp_path, 'lon,lat\n9,48\n10,49\n', encoding='utf-8-sig'))


def test_the_words_that_the_other_verbs_need(tmp_path):
    rows = write_set(tmp_path / 'files', tiles=2, photos=1)
    rows = [{'uuid': r['id'], 'image': r['photo'], 'tif': r['tile'], 'Longitude': r['lon'],
             'lat': r['lat']} for r in rows]  # fmt: skip
    path = write_table(tmp_path / 'files/table.csv', rows)
    (text,) = texts(path)
    assert 'lon=Longitude' in text and 'photo=image' in text and 'tile=tif' in text
    assert f'--root {tmp_path / "files"}' in text and 'fine' in text and '--basename' not in text


def test_files_found_by_their_name_alone(tmp_path):
    rows = write_set(tmp_path, tiles=1, photos=2)
    for row in rows:
        row['photo'] = 'elsewhere/' + row['photo'].rpartition('/')[2]
    (text,) = texts(write_table(tmp_path / 'table.csv', rows))
    assert 'fine' in text and '--basename' in text


def test_no_rows(tmp_path):
    only(written(tmp_path, 'lon,lat\n'), 'unusable', 'without any')
    only(written(tmp_path, ''), 'unusable', 'empty file')


def test_missing_columns(tmp_path):
    only(written(tmp_path, 'name,height\na,3\n'), 'unusable', 'name, height', '--columns')
    only(written(tmp_path, 'lon,height\n3,3\n'), 'unusable', 'lon and lat')
    absent = doctor.Expected(columns={'lon': 'x'})
    only(places(tmp_path), 'unusable', "'x'", 'id, lon, lat', expected=absent)
    only(written(tmp_path, 'lon,lat,lon\n9,48,9\n'), 'unusable', "'lon' twice")


def test_uneven_rows(tmp_path):
    path = written(tmp_path, 'lon,lat\n9,48\n10,49,7\n11\n')
    only(path, 'unusable', '2 of 3 rows', 'row 2', '3 instead of 2')


def test_encodings_and_separators(tmp_path):
    text = 'lon,lat,name\n9,48,a\n10,49,Zürich\n'
    only(written(tmp_path, text, encoding='latin-1'), 'unusable', 'UTF-8', '0xfc')
    only(written(tmp_path, text, encoding='utf-16'), 'unusable', 'UTF-16')
    only(written(tmp_path, text.replace(',', ';')), 'unusable', 'semicolons')
    only(written(tmp_path, text.replace(',', '\t')), 'unusable', 'tabs')
    only(written(tmp_path, 'lon,lat\n"9,48\n'), 'unusable', 'line')
    assert fine(written(tmp_path, text))


def test_places_swapped_out_of_range_or_in_metres(tmp_path):
    some = [*PLACES[:2], (48.77, 139.7)]
    only(places(tmp_path, some), 'suspicious', 'swapped', '1 of 3 rows', 'row 3')
    only(places(tmp_path, [(1.3, 103.8), (35.6, 139.7)]), 'unusable', 'swapped')
    only(places(tmp_path, [*PLACES, (190, 95)]), 'suspicious', 'other values')
    only(places(tmp_path, [(500_000, 5.3e6), (500_010, 5.3e6)]), 'unusable', 'metres')


def test_cells_that_are_no_numbers_or_empty(tmp_path):
    only(written(tmp_path, 'lon,lat\n9,48\n"9,5",48\n'), 'suspicious', 'decimal point', "'9,5'")
    only(places(tmp_path, [*PLACES, ('', 4)]), 'suspicious', 'one of the two', 'row 5')
    only(places(tmp_path, [*PLACES, ('', '')]), 'suspicious', 'cells empty')
    only(places(tmp_path, [('', '')] * 2), 'unusable', 'cells empty')
    only(places(tmp_path, [('nan', '48'), *PLACES]), 'suspicious', 'one of the two')


def test_null_island_and_places_all_equal(tmp_path):
    only(places(tmp_path, [*PLACES, (0, 0)]), 'suspicious', 'longitude 0', 'row 5')
    only(places(tmp_path, [PLACES[0]] * 3), 'suspicious', 'every row', '9.18')
    assert fine(places(tmp_path, [PLACES[0]] * 2))


def test_duplicate_ids(tmp_path):
    rows = [{'id': name, 'lon': 9 + n, 'lat': 48} for n, name in enumerate('abcb')]
    only(write_table(tmp_path / 't.csv', rows), 'suspicious', 'row 2', 'row 4')
    for row in rows:
        row['id'] = ''
    assert fine(write_table(tmp_path / 't.csv', rows))


def test_files_that_are_not_there(tmp_path):
    rows = write_set(tmp_path, tiles=2, photos=2)
    rows[3]['photo'], rows[0]['tile'] = 'photos/lost.jpg', 'tiles/lost.tif'
    path = write_table(tmp_path / 'table.csv', rows)
    found = texts(path)
    assert len(found) == 2
    assert 'photos' in found[0] and 'lost.jpg' in found[0] and '1 of 4 rows' in found[0]
    assert 'tiles' in found[1] and 'lost.tif' in found[1] and str(tmp_path) in found[1]
    assert not fine(path, doctor.Expected(root=str(tmp_path / 'tiles')))


def test_a_root_that_is_none(tmp_path):
    rows = write_set(tmp_path, tiles=1, photos=1)
    path = write_table(tmp_path / 'table.csv', rows)
    nowhere = doctor.Expected(root=str(tmp_path / 'nowhere'))
    only(path, 'unusable', 'nowhere', 'folder', expected=nowhere)


def test_places_outside_their_tiles(tmp_path):
    rows = write_set(tmp_path, tiles=2, photos=2)
    assert fine(write_table(tmp_path / 'table.csv', rows))
    for row in rows:
        row['lon'], row['lat'] = row['lat'], row['lon']
    only(write_table(tmp_path / 'table.csv', rows), 'suspicious', '4 of 4', 'swapped')


def test_a_column_called_tile_may_be_something_else(tmp_path):
    assert fine(places(tmp_path, tile='t31tfj'))


def test_parquet(tmp_path):
    columns = {'id': [1, 2, 2], 'lon': [9.0, 10.0, None], 'lat': [48.0, 49.0, 50.0]}
    path = tmp_path / 'places.parquet'
    pq.write_table(pa.table(columns), path)
    found = texts(path)
    assert len(found) == 2 and 'one of the two' in found[0] and 'row 3' in found[1]
    path.write_bytes(path.read_bytes()[:-20])
    only(path, 'unusable', 'cannot be read')


def test_geoparquet_and_rows_that_were_not_embedded(tmp_path):
    lonlat = np.array(PLACES)
    errors = pa.array(['', 'photo unreadable', '', ''])
    table = pa.table({'geometry': geoparquet.points(lonlat), 'error': errors})
    path = tmp_path / 'made.parquet'
    pq.write_table(table.replace_schema_metadata(geoparquet.metadata({})), path)
    only(path, 'suspicious', '1 of 4 rows', 'photo unreadable', 'row 2')


def test_a_table_of_another_name(tmp_path):
    path = places(tmp_path, name='places.txt')
    only(path, 'unusable', '*.csv', 'rename')


@pytest.mark.parametrize(
    ('lon', 'lat', 'what'),
    [
        (180, 90, ''), (-180, -90, ''), (0, 0, 'zero'), (91, 91, 'range'), (90, 180, 'swapped'),
        (181, 0, 'range'), (361, 0, 'metres'), (np.nan, 3, 'half'),
    ],
)  # fmt: skip
def test_numbers_that_are_no_place(lon, lat, what):
    assert tables._misplaced(lon, lat) == what


def test_memory_does_not_grow_with_the_table(tmp_path):
    """Ten times the rows: eight bytes more a row, for its id, and nothing else."""

    def peak(rows):
        path = tmp_path / f'{rows}.csv'
        with path.open('w') as file:
            writer = csv.writer(file)
            writer.writerow(['id', 'lon', 'lat', 'text'])
            writer.writerows([n, n % 360 - 180, n % 17, 'x' * 90] for n in range(1, rows + 1))
        tracemalloc.start()
        doctor.examine(path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) - peak(2_000) < 18_000 * 60  # the ids are sorted at the end
    assert (tmp_path / '20000.csv').stat().st_size > 20_000 * 100


def test_blank_lines_are_no_rows(tmp_path):
    path = written(tmp_path, io.StringIO('lon,lat\n\n9,48\n\n10,49\n').read())
    assert '2 rows' in texts(path)[0]
