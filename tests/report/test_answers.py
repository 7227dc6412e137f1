"""Tables of answers: where they are, and which of them are right."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gair_jax.config import InputError
from gair_jax.report import answers
from gair_jax.report.answers import Question
from gair_jax.serve import geoparquet
from gair_jax.transfer import place_answers
from gair_jax.transfer.place_rows import Parts, Places

AT = {'lon': [1.0, 2.0, 3.0, 4.0], 'lat': [50.0, 51.0, 52.0, 53.0]}


def read(path, frame, **question):
    made = pd.DataFrame({**AT, **frame})
    if path.suffix == '.csv':
        made.to_csv(path, index=False)
    else:
        made.to_parquet(path)
    return answers.read(str(path), 'made', Question(**question))


@pytest.mark.parametrize('suffix', ['.csv', '.parquet'])
@pytest.mark.parametrize(
    'cells', [[1, 0, 1, 1], [1.0, 0.0, 1.0, 1.0], [True, False, True, True], list('1011')]
)
def test_right_and_wrong_may_be_written_in_several_ways(tmp_path, suffix, cells):
    found = read(tmp_path / f'made{suffix}', {'hit': cells}, right='hit')
    assert found.right.tolist() == [True, False, True, True]
    assert found.error is None and found.rule == 'hit is 1'


def test_an_error_of_either_sign_is_right_below_the_threshold(tmp_path):
    cells = {'residual': [-1.0, 2.0, -2.5, 1.9]}
    found = read(tmp_path / 'made.csv', cells, error='residual', threshold=2.0)
    assert found.right.tolist() == [True, False, False, True]
    assert found.error.tolist() == cells['residual'] and found.rule == '|residual| < 2'


def test_names_are_right_where_equal_and_numbers_by_the_threshold(tmp_path):
    names = {'label': ['oak', 'fir', 'oak', 'fir'], 'answer': ['oak', 'oak', 'oak', 'fir']}
    found = read(tmp_path / 'made.csv', names)
    assert found.right.tolist() == [True, False, True, True] and found.error is None
    numbers = {'y': [1, 2, 3, 4], 'p': [1.4, 0.0, 3.5, 4.0]}
    columns = {'label': 'y', 'answer': 'p'}
    found = read(tmp_path / 'made.csv', numbers, columns=columns, threshold=0.5)
    assert found.right.tolist() == [True, False, False, True]
    np.testing.assert_allclose(found.error, [0.4, -2.0, 0.5, 0.0])
    assert found.rule == '|p - y| < 0.5'


@pytest.mark.parametrize('classes', [(), ('oak', 'fir')])
def test_what_gair_places_writes_is_read_as_it_is(tmp_path, classes):
    rows = Parts(np.zeros(4, bool), np.zeros(4, bool), np.ones(4, bool), np.arange(4))
    targets = np.array([0, 1, 0, 1])
    said = np.array([[0, 0, 0, 1]])
    lonlat = np.array(list(zip(*AT.values(), strict=True)))
    if not classes:
        targets, said = targets[:, None] * 1.0, said[..., None] * 1.0
    places = Places(lonlat, targets, classes, np.full(4, ''), np.empty((4, 0)))
    place_answers.write(place_answers.table(places, rows, said), tmp_path / 'made.parquet')
    question = Question() if classes else Question(threshold=0.1)
    found = answers.read(str(tmp_path / 'made.parquet'), 'made', question)
    assert found.right.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found.lonlat, lonlat)


def test_rows_without_a_place_are_left_out_and_counted(tmp_path):
    """They may lack an answer too; the others keep their numbers in the table."""
    frame = {'lon': [1.0, np.nan, 3.0, 3.0], 'hit': [1, None, 0, 1]}
    found = read(tmp_path / 'made.parquet', frame, right='hit')
    assert found.lonlat.tolist() == [[1, 50], [3, 52], [3, 53]] and found.without_place == 1
    assert found.right.tolist() == [True, False, True] and found.sharing == 0
    frame['hit'] = [1, None, 2, 1]
    with pytest.raises(InputError, match='hit, row 3: expected 0 or 1, or false or true, found 2'):
        read(tmp_path / 'made.parquet', frame, right='hit')
    frame |= {'lat': [50.0, 50.0, 52.0, 52.0], 'hit': [1, 0, 0, 1]}
    assert read(tmp_path / 'made.parquet', frame, right='hit').sharing == 2


def test_the_point_of_a_geoparquet_row_is_its_place(tmp_path):
    lonlat = np.array([[7.0, 46.0], [np.nan, np.nan], [8.5, 47.0]])
    table = pa.table({'hit': [1, 1, 0], 'geometry': geoparquet.points(lonlat)})
    path = tmp_path / 'made.geoparquet'
    pq.write_table(table.replace_schema_metadata(geoparquet.metadata({})), path)
    found = answers.read(str(path), 'made', Question(right='hit'))
    np.testing.assert_allclose(found.lonlat, [[7, 46], [8.5, 47]])
    assert found.without_place == 1


def test_tables_are_told_apart_by_their_folders(tmp_path):
    paths = [str(tmp_path / name) for name in ('a/x.csv', 'b/x.parquet', 'b/y.csv')]
    assert answers.names(paths[:1]) == ['x']
    assert answers.names(paths[1:]) == ['x', 'y']
    assert answers.names(paths) == ['a-x', 'b-x', 'b-y']
    for twice in (paths[0], str(tmp_path / 'a/x.parquet'), str(tmp_path / 'b/../a/x.csv')):
        with pytest.raises(InputError, match='expected each table once, found two of this name'):
            answers.names([*paths, twice])
