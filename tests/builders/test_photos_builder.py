import io
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from gair_jax.builders import photos, variants
from gair_jax.builders.photos import builder, chunks
from gair_jax.config import InputError
from tests.builders import scenes
from tests.builders.imports import build, digest, everything, opened, reasons
from tests.shared import shared


def test_a_table_becomes_a_data_set(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=3, photos=3)
    report = build(tmp_path, rows)
    assert report.splits == {'train': 9} and (report.tiles, report.rows, report.failed) == (3, 9, 0)
    assert 'Fewer than 10 tiles' in str(report)
    source = opened(tmp_path)
    found = everything(source)
    for row in rows:
        photo = found[row['id']]
        assert tuple(photo.lonlat) == (row['lon'], row['lat'])
        assert (photo.heading, photo.date, photo.licence) == (row['heading'], row['date'], 'CC0')
        assert photo.group == row['group']
        assert photo.photo == (tmp_path / row['photo']).read_bytes()
        (date,) = photo.acquisitions
        tile = source.tiles[date]
        assert (
            tile.id == row['tile'] and tile.tile == photo.tile and tile.bands.shape == (20, 24, 10)
        )
        number = int(row['tile'][7])
        expected = scenes.pixels(seed=number)[[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]]
        np.testing.assert_array_equal(tile.bands, np.moveaxis(expected, 0, -1))
    assert source.metadata['bands'] == list(source.tiles[0].band_names)
    assert source.metadata['synthetic'] is False


def test_nothing_but_the_data_set_and_its_report_stays(tmp_path):
    build(tmp_path, scenes.write_set(tmp_path))
    names = sorted(path.name for path in (tmp_path / 'prepared/photos').iterdir())
    assert names == ['default_acquisitions', 'default_photos', 'default_report.csv']


@pytest.mark.slow
def test_two_builds_and_any_number_of_workers_give_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, 'CHUNK_ROWS', 4)
    rows = scenes.write_set(tmp_path, tiles=12, photos=1)
    for name, workers in (('a', 1), ('b', 1), ('c', 2)):
        build(tmp_path, rows, data_dir=tmp_path / name, workers=workers)
    assert digest(tmp_path / 'a') == digest(tmp_path / 'b') == digest(tmp_path / 'c')


def test_rows_are_kept_or_failed_and_told_why(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=4, photos=3)
    (tmp_path / rows[0]['photo']).write_bytes(b'no photo')
    rows[4]['lon'], rows[4]['lat'] = rows[4]['lat'], rows[4]['lon']
    rows[5]['lat'] += 1
    rows[7]['heading'] = 'north'
    for path, values in ((rows[9]['tile'], scenes.pixels(3)),):
        scenes.write_tile(tmp_path / path, values, names=('B4', 'B3', 'B2'))
    report = build(tmp_path, rows, max_failed=0.6)
    found = reasons(tmp_path)
    assert report.rows == 12 and report.failed == len(found) == 7
    assert sum(report.splits.values()) == 5 and len(everything(opened(tmp_path))) == 5
    assert report.tiles == 3  # The tile that lacks bands is not stored.
    assert found['p0_0'].startswith('photo unreadable')
    assert 'swapped' in found['p1_1'] and found['p1_1'].startswith('point outside its tile')
    assert found['p1_2'].startswith('point outside its tile') and 'EPSG:4326' in found['p1_2']
    assert found['p2_1'].startswith('heading is no number')
    for name in ('p3_0', 'p3_1', 'p3_2'):
        assert found[name].startswith('missing band: tiles/t3.tif: band B05 is missing')
    assert '7 rows could not be used' in str(report)


def test_a_tile_whose_photos_all_failed_is_not_stored(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=3, photos=2)
    for row in rows[:2]:
        (tmp_path / row['photo']).write_bytes(b'no photo')
    assert build(tmp_path, rows, max_failed=0.5).tiles == 2


def spoil(folder, rows, what):
    """Makes every row fail for one reason."""
    for row in rows:
        if what == 'swapped':
            row['lon'], row['lat'] = row['lat'], row['lon']
        elif what == 'outside':
            row['lon'] += 2
        elif what == 'photo':
            (folder / row['photo']).write_bytes(b'')
        elif what == 'band':
            scenes.write_tile(folder / row['tile'], scenes.pixels(3), names=('B4', 'B3', 'B2'))
        elif what == 'crs':
            scenes.write_tile(folder / row['tile'], corner=(5e5, 5.3e6), step=10)
        elif what == 'nan':
            values = scenes.pixels(dtype=np.float32)
            values[:, :11] = np.nan
            scenes.write_tile(folder / row['tile'], values, nodata=None)


@pytest.mark.parametrize(
    ('what', 'reason'),
    [
        ('swapped', 'point outside its tile: .* with lon and lat swapped it would be inside'),
        ('outside', 'point outside its tile: .* tile widths to the east'),
        ('photo', 'photo unreadable'),
        ('band', 'missing band: tiles/t0.tif: band B05 is missing: found B4, B3, B2'),
        ('crs', 'wrong crs: tiles/t0.tif: the box 500000, 5300000, .* in EPSG:4326'),
        ('nan', 'too little data: tiles/t0.tif: 55% of the pixels'),
    ],
)
def test_one_fault_everywhere_is_one_sentence_and_leaves_nothing(tmp_path, what, reason):
    rows = scenes.write_set(tmp_path, tiles=2, photos=2)
    spoil(tmp_path, rows, what)
    with pytest.raises(
        InputError, match=f'4 of 4 rows cannot be used.* of row 1: {reason}'
    ) as caught:
        build(tmp_path, rows)
    assert '\n' not in str(caught.value) and 'default_report.csv' in str(caught.value)
    assert [path.name for path in (tmp_path / 'prepared/photos').iterdir()] == [
        'default_report.csv'
    ]
    assert len(reasons(tmp_path)) == 4


def test_what_cells_alone_show_is_refused_before_files_are_read(tmp_path, monkeypatch):
    rows = scenes.write_set(tmp_path, tiles=2, photos=2)
    for row in rows:
        row['lon'], row['lat'] = 48.0, 100.0
    monkeypatch.setattr(chunks, 'make', None)
    with pytest.raises(InputError, match='they look swapped'):
        build(tmp_path, rows)
    assert [path.name for path in (tmp_path / 'prepared/photos').iterdir()] == [
        'default_report.csv'
    ]


def test_the_share_that_may_fail_is_kept_to(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=5, photos=2)
    for row in rows[:2]:
        (tmp_path / row['photo']).write_bytes(b'')
    with pytest.raises(InputError, match='2 of 10 rows cannot be used, and at most 10% may fail'):
        build(tmp_path, rows, max_failed=0.1)
    assert build(tmp_path, rows, max_failed=0.2).failed == 2


def test_a_mended_file_is_read_after_a_refusal(tmp_path):
    rows = scenes.write_set(tmp_path, tiles=1, photos=1)
    data = (tmp_path / rows[0]['photo']).read_bytes()
    (tmp_path / rows[0]['photo']).write_bytes(b'')
    with pytest.raises(InputError):
        build(tmp_path, rows)
    (tmp_path / rows[0]['photo']).write_bytes(data)
    assert build(tmp_path, rows).failed == 0 and reasons(tmp_path) == {}


def test_a_finished_build_is_reused_and_another_is_not_overwritten(tmp_path):
    rows = scenes.write_set(tmp_path)
    first = build(tmp_path, rows)
    before = digest(tmp_path / 'prepared')
    assert build(tmp_path, rows) == first and digest(tmp_path / 'prepared') == before
    with pytest.raises(InputError, match='holds a build from other input or options.*--variant'):
        build(tmp_path, rows, photo_side=16)
    assert digest(tmp_path / 'prepared') == before
    build(tmp_path, rows, photo_side=16, variant='small')
    sizes = {
        Image.open(io.BytesIO(p.photo)).height
        for p in everything(opened(tmp_path, 'small')).values()
    }
    assert sizes == {16}


KILLED = """
    import os, signal
    from gair_jax.builders import photos, prepared, staging
    from gair_jax.builders.photos import builder, chunks
    builder.CHUNK_ROWS = 3
    make, write = chunks.make, prepared._write
    def kill(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    if {when!r} == 'chunk':
        chunks.make = lambda job, index: kill() if index == 2 else make(job, index)
    if {when!r} == 'photos':
        prepared._write = lambda made, n, m: kill() if 'tiles' not in n else write(made, n, m)
    photos.build({table!r}, {{}}, {root!r}, data_dir={data_dir!r})
"""


@pytest.mark.slow
@pytest.mark.parametrize('when', ['chunk', 'photos'])
def test_a_killed_build_goes_on_and_ends_the_same(tmp_path, monkeypatch, when):
    monkeypatch.setattr(builder, 'CHUNK_ROWS', 3)
    rows = scenes.write_set(tmp_path, tiles=4, photos=3)
    build(tmp_path, rows, data_dir=tmp_path / 'whole')
    killed = tmp_path / 'killed'
    script = textwrap.dedent(KILLED).format(
        when=when, table=str(tmp_path / 'table.csv'), root=str(tmp_path), data_dir=str(killed)
    )
    assert subprocess.run([sys.executable, '-c', script]).returncode == -9
    assert not variants.built(killed, 'photos', 'default')
    done = {'chunk': 2, 'photos': 4}[when]
    assert len(list((killed / 'photos/default.staging').glob('chunk-??????'))) == done
    made, make = [], chunks.make
    monkeypatch.setattr(chunks, 'make', lambda *job: made.append(job[1]) or make(*job))
    build(tmp_path, rows, data_dir=killed)
    assert len(made) == 4 - done
    assert digest(killed) == digest(tmp_path / 'whole')


@pytest.mark.slow
@pytest.mark.parametrize('limit', [500, 20_000, 60_000])
def test_a_file_size_limit_is_one_sentence_and_leaves_no_half_set(tmp_path, limit):
    rows = scenes.write_set(tmp_path, tiles=3, photos=1)
    scenes.write_table(tmp_path / 'table.csv', rows)
    script = textwrap.dedent(f"""
        import resource
        from gair_jax.builders import photos
        from gair_jax.builders.photos import builder
        from gair_jax.config import InputError
        builder.CHUNK_ROWS = 1
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        root = {str(tmp_path)!r}
        try:
            photos.build(root + '/table.csv', {{}}, root, data_dir=root + '/prepared')
        except InputError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True
    )
    assert 'cannot be written: ' in done.stdout and done.stdout.count('\n') == 1
    assert 'File too large' in done.stdout or 'file too large' in done.stdout
    left = [path for path in (tmp_path / 'prepared').rglob('*') if path.is_file()]
    assert not [path for path in left if 'incomplete' in str(path) or path.suffix == '.part']
    assert not variants.built(tmp_path / 'prepared', 'photos', 'default')
    assert build(tmp_path, rows).failed == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'fractions': (0.5, 0.5)}, 'fractions: expected three shares'),
        ({'max_failed': 1.5}, 'max_failed: expected a share from 0 to 1, found 1.5'),
        ({'max_nodata': -1.0}, 'max_nodata'),
        ({'band_order': 'landsat'}, 'band_order'),
        ({'sensor': 'landsat'}, 'sensor: expected one of'),
        ({'sensor': 'street_view_rgb'}, 'sensor: expected a contract for tiles'),
        ({'variant': '../x'}, 'variant: expected letters'),
    ],
)
def test_options_out_of_range_are_named(tmp_path, options, message):
    rows = scenes.write_set(tmp_path, tiles=1, photos=1)
    with pytest.raises(InputError, match=message):
        build(tmp_path, rows, **options)
    assert not (tmp_path / 'prepared').exists()


def test_real_triples_go_to_train_with_their_places_bit_for_bit(tmp_path):
    root = shared('data/gair_examples')
    report = photos.build(
        root / 'examples.csv',
        {'photo': 'sv_image', 'tile': 'rs_image'},
        root,
        basename=True,
        data_dir=tmp_path / 'prepared',
    )
    assert report.splits == {'train': 3} and report.tiles == 3 and report.failed == 0
    source = opened(tmp_path)
    found = everything(source)
    assert tuple(found['tokyo'].lonlat) == (139.75009, 35.657349)
    tile = source.tiles[found['tokyo'].acquisitions[0]]
    # examples.csv's own columns for the box.
    assert tile.bounds[0] == 139.7460578479397 and tile.bands.shape == (199, 245, 10)
    assert found['detroit'].photo == (root / 'detroit_sv.jpg').read_bytes()
