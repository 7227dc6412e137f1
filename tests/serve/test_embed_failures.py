import csv
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gair_jax.config import InputError
from gair_jax.serve import row_embedder
from tests.builders import scenes
from tests.serve.embedding import CLOSE, KINDS, run, table_of, vectors


def test_what_fails_is_told_in_its_row_and_spoils_no_other(tmp_path, tiny, rows):
    good = run(tiny, tmp_path, rows)[1]
    for row in rows:
        row |= dict.fromkeys(['left', 'top', 'right', 'bottom', 'crs', 'offset'], '')
    (tmp_path / 'photos/cut.jpg').write_bytes((tmp_path / rows[0]['photo']).read_bytes()[:400])
    (tmp_path / 'tiles/bad.tif').write_bytes(b'II*\0 no')
    scenes.write_tile(tmp_path / 'tiles/dark.tif', np.zeros((12, 20, 24), np.uint16))
    scenes.write_tile(tmp_path / 'tiles/free.tif', crs='')
    lon, lat = rows[0]['lon'], rows[0]['lat']
    cases = [
        ({'photo': 'photos/cut.jpg'}, 'photo unreadable', ['sv']),
        ({'photo': 'photos/none.jpg'}, 'file not found', ['sv']),
        ({'photo': '../secret.jpg'}, 'file outside the root', ['sv']),
        ({'photo': 'tiles/t0.tif'}, 'is no JPEG or PNG', ['sv']),
        ({'photo': 'x' * 5000}, 'file not found', ['sv']),
        ({'lon': lon + 1}, 'point outside its tile', ['localized']),
        ({'lon': lat, 'lat': lon}, 'swapped it would be inside', ['localized']),
        ({'lon': 48.0, 'lat': 100.0}, 'not a place on earth', ['location', 'localized']),
        ({'lon': 'nan', 'lat': 'nan'}, 'no position', ['location', 'localized']),
        ({'lat': ''}, 'no position: lon or lat is empty', ['location', 'localized']),
        ({'lon': '13,5'}, "lon is no number: '13,5'", ['location', 'localized']),
        ({'lon': 'inf'}, 'lon is no number', ['location', 'localized']),
        ({'tile': 'tiles/bad.tif'}, 'tile unreadable', ['rs', 'localized']),
        ({'tile': 'tiles/none.tif'}, 'file not found', ['rs', 'localized']),
        ({'tile': 'tiles/dark.tif'}, 'no data in any pixel', ['rs', 'localized']),
        ({'tile': 'tiles/free.tif'}, 'no georeference', ['localized']),
        ({'left': 'west'}, 'left is no number', ['rs', 'localized']),
        ({'offset': 'much'}, 'offset is no number', ['rs', 'localized']),
        ({'photo': '', 'tile': '', 'lon': '', 'lat': ''}, 'no position', KINDS),
    ]
    bad = [{**rows[0], **change} for change, _, _ in cases]
    mixed = [row for pair in zip(bad, [rows[1]] * len(bad), strict=True) for row in pair]
    made, table = run(tiny, tmp_path, mixed, batch_rows=7)
    errors = table['error'].to_pylist()
    assert made.failed == len(cases) and errors[1::2] == [''] * len(cases)
    known = {kind: ~np.isnan(vectors(table, kind)).any(axis=1) for kind in KINDS}
    for i, (change, reason, lost) in enumerate(cases):
        assert reason in errors[2 * i], (change, errors[2 * i])
        assert {kind for kind in KINDS if not known[kind][2 * i]} == {*lost}, change
    for kind in KINDS:
        expected = np.repeat(vectors(good, kind)[1:2], len(cases), axis=0)
        np.testing.assert_allclose(vectors(table, kind)[1::2], expected, **CLOSE)
    with made.errors.open() as file:
        listed = list(csv.DictReader(file))
    assert [int(line['row']) for line in listed] == list(range(1, 2 * len(cases), 2))
    assert listed[0]['id'] == 'p0_0' and listed[0]['error'] == errors[0]


@pytest.mark.parametrize(
    ('what', 'change'),
    [
        (('location',), {'photo': 'none.jpg', 'tile': 'none.tif'}),
        (('sv',), {'tile': 'none.tif', 'lat': 'x'}),
        (('rs',), {'photo': 'none.jpg', 'lon': ''}),
    ],
)
def test_what_nothing_is_made_of_may_be_wrong(tmp_path, tiny, rows, what, change):
    made, table = run(tiny, tmp_path, [{**row, **change} for row in rows], what=what)
    assert made.failed == 0 and table[f'embedding_{what[0]}'].null_count == 0


def test_what_is_beyond_half_precision_is_told(tmp_path, tiny, rows, monkeypatch):
    width = tiny.width('sv', 'common')
    monkeypatch.setattr(
        tiny, 'encode_inputs', lambda side, x, space: np.full((len(x), width), 1e6, np.float32)
    )
    made, table = run(tiny, tmp_path, rows, what=('sv',), dtype='float16')
    assert made.failed == 6 and table['embedding_sv'].null_count == 6
    assert table['error'][0].as_py() == 'embedding_sv is beyond the range of float16'


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, tiny, rows, monkeypatch, capsys):
    _, expected = run(tiny, tmp_path, rows, batch_rows=2)
    os.remove(tmp_path / 'o.parquet')
    embed_rows, calls = row_embedder.RowEmbedder.embed, []

    def dies(self, shown):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed_rows(self, shown)

    monkeypatch.setattr(row_embedder.RowEmbedder, 'embed', dies)
    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path, rows, batch_rows=2)
    part = tmp_path / 'o.parquet.part'
    assert not (tmp_path / 'o.parquet').exists()
    assert len(list(part.glob('rows-*.parquet'))) == 2
    stamps = (tmp_path / 't.csv').stat()
    table_of(tmp_path, rows)
    os.utime(tmp_path / 't.csv', ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    made, table = run(tiny, tmp_path, tmp_path / 't.csv', batch_rows=2)
    assert made.resumed == 4 and len(calls) == 4 and not part.exists()
    for kind in KINDS:
        np.testing.assert_allclose(vectors(table, kind), vectors(expected, kind), **CLOSE)
    assert table.drop_columns([f'embedding_{k}' for k in KINDS]) == expected.drop_columns(
        [f'embedding_{k}' for k in KINDS]
    )


def test_other_options_start_over_and_say_so(tmp_path, tiny, rows, monkeypatch, capsys):
    table = table_of(tmp_path, rows)
    embed_rows = row_embedder.RowEmbedder.embed

    def dies(self, shown):
        monkeypatch.setattr(row_embedder.RowEmbedder, 'embed', lambda *a: 1 / 0)
        return embed_rows(self, shown)

    monkeypatch.setattr(row_embedder.RowEmbedder, 'embed', dies)
    with pytest.raises(ZeroDivisionError):
        run(tiny, tmp_path, table, batch_rows=2)
    monkeypatch.setattr(row_embedder.RowEmbedder, 'embed', embed_rows)
    made, found = run(tiny, tmp_path, table, batch_rows=2, normalize=True)
    assert made.resumed == 0 and 'starting over' in capsys.readouterr().out
    np.testing.assert_allclose(np.linalg.norm(vectors(found, 'sv'), axis=1), 1, rtol=1e-5)


def test_too_many_failures_refuse_the_run_and_leave_the_list_alone(tmp_path, tiny, rows):
    for row in rows[:4]:
        row['photo'] = 'none.jpg'
    with pytest.raises(InputError, match='2 of 6 rows failed so far, and at most 20% may; row 1: '):
        run(tiny, tmp_path, rows, batch_rows=2, max_failed=0.2)
    assert sorted(os.listdir(tmp_path)) == ['o.errors.csv', 'photos', 't.csv', 'tiles']
    made, _ = run(tiny, tmp_path, rows, batch_rows=2, max_failed=0.8)
    assert made.failed == 4
    for row in rows[:4]:
        row['photo'] = rows[5]['photo']
    assert run(tiny, tmp_path, rows)[0].failed == 0 and not made.errors.exists()


@pytest.mark.parametrize(
    ('names', 'options', 'message'),
    [
        (
            ['id', 'x'],
            {},
            'expected a column for photo, for tile, or for lon and lat .* found id, x',
        ),
        (['lon', 'photo'], {}, 'expected lon and lat together, found lon'),
        (['photo'], {'what': ('rs',)}, 'what=rs: .*expected a column for tile'),
        (['lon', 'lat'], {'what': ('sv',)}, 'what=sv: .*expected a column for photo'),
        (['tile'], {'what': ('location',)}, 'what=location: .*columns for lon and lat'),
        (['photo'], {'what': ('image',)}, "expected some of location, .*found 'image'"),
        (['photo'], {'columns': {'photo': 'picture'}}, "column 'picture' .for photo. is missing"),
        (['photo'], {'columns': {'foto': 'photo'}}, "'foto' is unknown"),
        (['photo'], {'dtype': 'int8'}, "expected float32 or float16, found 'int8'"),
        (['photo'], {'batch_rows': 0}, 'batch-rows: expected 1 to'),
        (['photo'], {'max_failed': 2.0}, 'max-failed: expected a share'),
        (['photo'], {'overlap': 1.0}, 'overlap: expected 0 <= overlap < 1'),
        (['photo'], {'window': -1}, 'window: expected at least 0'),
        (['photo'], {'space': 'all'}, 'space: expected common or encoder'),
        (['photo'], {'band_order': 'x'}, 'band-order: expected eurosat'),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_row(tmp_path, tiny, names, options, message):
    table = table_of(tmp_path, [dict.fromkeys(names, '1')])
    with pytest.raises(InputError, match=message):
        run(tiny, tmp_path, table, **options)
    assert os.listdir(tmp_path) == ['t.csv']


def test_the_table_itself_is_not_overwritten(tmp_path, tiny):
    pq.write_table(pa.table({'lon': [1.0], 'lat': [2.0]}), tmp_path / 'o.parquet')
    with pytest.raises(InputError, match='is the table itself'):
        run(tiny, tmp_path, tmp_path / 'o.parquet')
