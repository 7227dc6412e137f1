import math

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from gair_jax.builders.streetscapes import tables
from gair_jax.builders.streetscapes.settings import PlacesConfig
from gair_jax.config import InputError
from tests.shared import shared

GOOD = {'id': '17', 'source': 'Mapillary', 'lon': '9.1775', 'lat': '48.7761'}
SAMPLE = 'data/global-streetscapes-sample/tables'


def write_csv(path, *rows):
    names = list({name: None for row in rows for name in row})
    lines = [','.join(names), *(','.join(row.get(name, '') for name in names) for row in rows)]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path


def read(path, **settings):
    return tables.read(PlacesConfig(table=str(path), **settings))


def read_rows(tmp_path, *changes, **settings):
    """What is read of good rows with some cells changed, each with an id of its own."""
    rows = [{**GOOD, 'id': str(17 + i), **change} for i, change in enumerate(changes)]
    return read(write_csv(tmp_path / 't.csv', *rows), **settings)


def test_the_four_columns_suffice(tmp_path):
    (row,) = read_rows(tmp_path, {}).to_dict('records')
    assert row['key'] == 'mapillary:17' and row['source'] == 'mapillary' and row['row'] == 1
    assert (row['lon'], row['lat']) == (9.1775, 48.7761)
    assert row['city'] == row['city_id'] == row['sequence'] == row['datetime'] == row['uuid'] == ''
    assert row['panorama'] is False and row['width'] == 0
    assert all(math.isnan(row[name]) for name in ('heading', 'moved_m', 'city_lon', 'city_lat'))


def test_what_else_a_table_may_tell_is_read(tmp_path):
    cells = {
        'time': '2024-07-09 03:24:18.913+02:00',
        'heading': '-90',
        'width': '7680.0',
        'panorama': 'True',
        'sequence': 's',
        'city': 'Łódź',
        'city_lon': '9.18',
        'city_lat': '48.78',
        'quality': 'good',
        'note': 'not read',
    }
    (row,) = read_rows(tmp_path, cells).to_dict('records')
    assert row['heading'] == 270 and row['width'] == 7680 and row['panorama'] is True
    assert row['city'] == row['city_id'] == 'Łódź' and row['sequence'] == 's'
    assert row['datetime'] == cells['time'] and row['quality'] == 'good'
    assert (row['city_lon'], row['city_lat']) == (9.18, 48.78) and 'note' not in row


def test_ids_of_17_digits_are_kept_to_the_last(tmp_path):
    """A float holds whole numbers up to 2**53 = 9007199254740992 alone."""
    last = '25910893918570771'
    assert read_rows(tmp_path, {'id': last})['key'].tolist() == [f'mapillary:{last}']
    table = pa.table({'id': [int(last)], 'source': ['folder'], 'lon': [9.0], 'lat': [48.0]})
    pa.parquet.write_table(table, tmp_path / 't.parquet')
    assert read(tmp_path / 't.parquet')['key'].tolist() == [f'folder:{last}']


def test_the_computed_place_gives_the_distance(tmp_path):
    # A degree of latitude is 111.2 km on the sphere of 6,371,008.8 m.
    found = read_rows(tmp_path, {'computed_lon': '9.1775', 'computed_lat': '48.7762'}, {})
    assert found['moved_m'].iloc[0] == pytest.approx(11.12, abs=0.01)
    assert math.isnan(found['moved_m'].iloc[1])


def test_times_that_are_none_and_odd_headings_are_unknown(tmp_path):
    found = read_rows(tmp_path, {'time': '0000-00-00', 'heading': 'inf'}, {'heading': '725'})
    assert found['datetime'].tolist() == ['', '']
    assert math.isnan(found['heading'].iloc[0]) and found['heading'].iloc[1] == 5


@pytest.mark.parametrize(
    ('cells', 'message'),
    [
        ({'id': ''}, "row 2, column id: expected an id, found ''"),
        ({'id': '1.2e+15'}, "row 2, column id: .*read as a float, found '1.2e"),
        ({'id': '1234567890123456.0'}, 'row 2, column id: .*read as a float'),
        ({'id': 'Xy1_zQ'}, "row 2, column id: expected digits.*found 'Xy1_zQ'"),
        ({'id': '../etc', 'source': 'folder'}, 'row 2, column id: expected the name of a file'),
        ({'id': '17'}, "row 2, column id: expected each photo of a source once, found '17'"),
        ({'source': 'Flickr'}, "row 2, column source: expected one of mapillary.*'flickr'"),
        ({'source': ''}, 'row 2, column source: expected one of'),
        ({'lon': ''}, 'row 2, column lon: expected degrees, found nan'),
        ({'lat': 'nan'}, 'row 2, column lat: expected degrees, found nan'),
        ({'lat': '-inf'}, 'row 2, column lat: expected degrees, found -inf'),
        ({'lon': '9,1'.replace(',', ';')}, "row 2, column lon: expected a number, found '9;1'"),
        ({'heading': 'north'}, "row 2, column heading: expected a number, found 'north'"),
        ({'lon': '35.6', 'lat': '139.7'}, 'row 2, column lon, lat: .*swapped.*35.6, 139.7'),
        ({'lon': '350.6'}, r'row 2, column lon: expected degrees in \[-180, 180\], found 350.6'),
        ({'lat': '-95', 'lon': '99'}, r'row 2, column lat: expected degrees in \[-90, 90\]'),
        ({'lon': '0', 'lat': '0.0'}, 'row 2, column lon, lat: expected a place.*found 0.0, 0.0'),
        ({'lon': '2.4390', 'lat': '0.6223'}, 'row 2, column lon, lat: .*radians'),
        ({'panorama': 'maybe'}, "row 2, column panorama: expected true or false, found 'maybe'"),
    ],
)
def test_a_bad_row_is_refused_by_row_and_column(tmp_path, cells, message):
    with pytest.raises(InputError, match=f't.csv: {message}'):
        read_rows(tmp_path, {}, cells)


def test_swapped_places_are_known_by_their_city(tmp_path):
    """9.2, 48.8 is in Stuttgart and 48.8, 9.2 off Somalia: both are places."""
    centre = {'city_lon': '9.1775', 'city_lat': '48.7761'}
    with pytest.raises(InputError, match='row 2, column lon, lat: expected .* swapped'):
        read_rows(tmp_path, centre, {**centre, 'lon': '48.8', 'lat': '9.2'})
    assert len(read_rows(tmp_path, {**centre, 'lon': '50', 'lat': '9.2'})) == 1


def test_a_refusal_counts_its_rows(tmp_path):
    with pytest.raises(InputError, match=r'row 2, column lon: .*\(2 such rows\)'):
        read_rows(tmp_path, {}, {'lon': '200'}, {'lon': '201'})


@pytest.mark.parametrize('column', ['id', 'source', 'lon', 'lat'])
def test_a_missing_column_is_named(tmp_path, column):
    row = {name: cell for name, cell in GOOD.items() if name != column}
    with pytest.raises(InputError, match=f"column '{column}' is missing"):
        read(write_csv(tmp_path / 't.csv', row))


@pytest.mark.parametrize(
    ('setting', 'column'),
    [
        ({'quality': True}, 'quality'),
        ({'day': True}, 'lighting_condition'),
        ({'outdoors': True}, 'platform'),
        ({'least_width': 640}, 'width'),
        ({'most_moved_m': 20.0}, 'computed_lon'),
        ({'thin_m': 10.0}, 'sequence'),
        ({'per_city': 3}, 'city_id'),
    ],
)
def test_a_setting_that_could_not_act_is_refused(tmp_path, setting, column):
    with pytest.raises(
        InputError, match=f'column .?{column}.* is missing, which places.{[*setting][0]}'
    ):
        read_rows(tmp_path, {}, **setting)


def test_parquet_ids_that_are_floats_are_refused(tmp_path):
    table = pa.table({'id': [1.0], 'source': ['mapillary'], 'lon': [9.0], 'lat': [48.0]})
    pa.parquet.write_table(table, tmp_path / 't.parquet')
    with pytest.raises(InputError, match='column id: expected text or whole numbers, found floats'):
        read(tmp_path / 't.parquet')


@pytest.mark.parametrize('name', ['none.csv', 'none.parquet'])
def test_an_absent_table_is_refused(tmp_path, name):
    with pytest.raises(InputError, match='no such table'):
        read(tmp_path / name)


def test_no_table_is_refused():
    with pytest.raises(InputError, match='places.table: expected a table of photos'):
        tables.read(PlacesConfig())


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / 't.csv').write_text('id,source,lon,lat\n')
    with pytest.raises(InputError, match='no rows'):
        read(tmp_path / 't.csv')


def write_folder(folder, **tables_):
    folder.mkdir(exist_ok=True)
    metadata = {
        **{'uuid': 'b', 'source': 'KartaView', 'orig_id': '1', 'lon': '9.2', 'lat': '48.8'},
        **{'datetime_local': '2024-01-01', 'heading': '10', 'width': '640.0'},
        **{'sequence_id': 's', 'projection_type': 'spherical'},
    }
    city = {'uuid': 'a', 'city': 'X', 'city_id': '7', 'city_lon': '9.1', 'city_lat': '48.7'}
    rows = {
        '02_metadata_common_attributes': [metadata, {**metadata, 'uuid': 'a', 'orig_id': '2'}],
        'simplemaps': [city, {**city, 'uuid': 'c', 'city_id': '8'}],
        **tables_,
    }
    for name, cells in rows.items():
        write_csv(folder / f'{name}.csv', *cells)
    return folder


def test_tables_of_a_folder_go_together_by_uuid(tmp_path):
    found = read(write_folder(tmp_path / 'tables'))
    assert found['key'].tolist() == ['kartaview:1', 'kartaview:2']
    assert found['uuid'].tolist() == ['b', 'a'] and found['panorama'].all()
    assert found['city_id'].tolist() == ['', '7'] and found['city'].tolist() == ['', 'X']
    assert math.isnan(found['city_lon'].iloc[0]) and found['city_lon'].iloc[1] == 9.1


def test_what_models_say_is_read_where_it_is_wanted(tmp_path):
    said = {'uuid': 'a', 'quality': 'good', 'lighting_condition': 'day', 'platform': 'tunnel'}
    folder = write_folder(tmp_path / 'tables', contextual=[said])
    assert read(folder)['quality'].tolist() == ['', '']
    found = read(folder, outdoors=True)
    assert found['platform'].tolist() == ['', 'tunnel'] and found['quality'].iloc[1] == 'good'


@pytest.mark.parametrize(
    ('changes', 'settings', 'message'),
    [
        ({}, {'day': True}, 'expected a table contextual.csv in it'),
        ({}, {'most_moved_m': 9.0}, "column 'computed_lon' is missing"),
        ({'simplemaps': [{'uuid': 'a', 'city': 'X'}]}, {}, "column 'city_id' is missing"),
    ],
)
def test_what_a_folder_lacks_is_named(tmp_path, changes, settings, message):
    with pytest.raises(InputError, match=message):
        read(write_folder(tmp_path / 'tables', **changes), **settings)


def test_a_uuid_twice_is_refused(tmp_path):
    folder = write_folder(tmp_path / 'tables')
    text = (folder / 'simplemaps.csv').read_text()
    (folder / 'simplemaps.csv').write_text(text + text.splitlines()[1] + '\n')
    with pytest.raises(InputError, match='column uuid: expected each value once, found a twice'):
        read(folder)


def test_the_published_sample_is_read_whole():
    """Its README: 2,319 rows, 1,725 of Stuttgart and 594 of Singapore."""
    folder = shared(SAMPLE)
    found = read(folder, per_city=3, thin_m=10.0, least_width=640)
    assert found.groupby('city').size().to_dict() == {'Singapore': 594, 'Stuttgart': 1725}
    assert found['row'].tolist() == list(range(1, 2320)) and found['key'].is_unique
    # Its tables are not in one order; a plain join by pandas says the same.
    meta, cities = (
        pd.read_csv(folder / name, dtype={'orig_id': str, 'city_id': str})
        for name in ('02_metadata_common_attributes.csv', '01_simplemaps.csv')
    )
    joined = meta.merge(cities[['uuid', 'city_id']], on='uuid')
    assert found['orig_id'].tolist() == joined['orig_id'].tolist()
    assert found['city_id'].tolist() == joined['city_id'].tolist()
    assert found['panorama'].sum() == 660 and (found['datetime'] != '').all()
    assert found[['lon', 'lat']].to_numpy().tolist() == meta[['lon', 'lat']].to_numpy().tolist()
