"""From a table to a prepared set over stand-ins, and every pixel of it from lon and lat alone."""

import dataclasses
import io
import math
import shutil

import numpy as np
import pandas as pd
import pyproj
import pytest
from PIL import Image

from gair_jax.builders.streetscapes import (
    chips,
    ledger,
    pack,
    pack_chunks,
    pair,
    photos_fetch,
    photos_files,
    plan,
    plan_files,
    scenes_fetch,
    scenes_offset,
    scenes_run,
    scenes_select,
    scenes_stac,
)
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.settings import StreetscapesConfig, TilesConfig
from gair_jax.config import DataConfig, InputError
from gair_jax.input import store
from tests.standins import catalogue, scene_files

PARIS, OSLO = (2.3522, 48.8566), (10.7522, 59.9139)
DATES = ('2020-05-10', '2020-06-10')


def photos_of(folder, count=12):
    """A table of photos of two cities and their files, each of a colour of its own."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for number in range(count):
        city, (lon, lat) = (('paris', PARIS), ('oslo', OSLO))[number % 2]
        east, north = rng.uniform(-0.006, 0.006, 2)
        place = {'lon': lon + east, 'lat': lat + north, 'city_id': city}
        heading = 10.0 * number if number else math.nan
        rows.append({'id': f'p{number}', 'source': 'folder', 'heading': heading, **place})
        Image.new('RGB', (160, 140), (10 * number, 90, 90)).save(folder / f'p{number}.jpg')
    pd.DataFrame(rows).to_csv(folder / 'photos.csv', index=False)
    return pd.DataFrame(rows).set_index('id')


def config(folder, url, **tiles):
    made = StreetscapesConfig()
    made.places.table, made.photos.folder = str(folder / 'photos.csv'), str(folder)
    made.photos.side = 0
    made.scenes.source, made.scenes.url = 'stac', url
    for name, value in tiles.items():
        setattr(made.tiles, name, value)
    return made


def fetched(made, out, served):
    """All stages up to `pair`."""
    plan.plan(made, out)
    tiles = list(plan_files.tiles(out).values())
    known = scenes_stac.Preset(url=served.url, collection='sentinel-2-l2a')
    source = scenes_stac.StacSource(known, delay=0.002)
    for stage in (scenes_select.search, scenes_select.select, scenes_fetch.fetch):
        stage(made.scenes, tiles, out, source=source, shown=False)
    photos_fetch.fetch(made, plan_files.photos(out), out)


def scenes():
    """Two dates of each city; the second one carries the +1000."""
    carrying = {'carries': True, 'baseline': '04.00', 'flag': 'no'}
    return [
        catalogue.scene_around(*place, date, mgrs=name, **fields)
        for place, name in ((PARIS, '31UDQ'), (OSLO, '32VNM'))
        for date, fields in zip(DATES, ({}, carrying), strict=True)
    ]


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """A build of two cities, fetched once: its table, settings and folder."""
    folder = tmp_path_factory.mktemp('build')
    rows = photos_of(folder / 'photos')
    with catalogue.serve(scenes()) as served:
        made = config(folder / 'photos', served.url)
        fetched(made, folder / 'out', served)
    return rows, made, folder / 'out'


def packed(build, tmp_path, **changed):
    _, made, out = build
    counts = pair.pair(made, out)
    report = pack.pack(made, out, data_dir=tmp_path, **changed)
    data = DataConfig(dir=str(tmp_path), name='streetscapes', variant='default')
    return counts, report, store.Store(data)


def truth(bands, x, y, date):
    return np.stack([scene_files.reflectance(x, y, band, date) for band in bands], axis=-1)


def check_photo(photo, tiles, row):
    """Its chips are those of its own place, by UTM alone, and it is where any window fits."""
    zone = 31 if row.city_id == 'paris' else 32
    to_utm = pyproj.Transformer.from_crs('EPSG:4326', f'EPSG:326{zone}', always_xy=True)
    x, y = to_utm.transform(row.lon, row.lat)
    np.testing.assert_array_equal(photo.lonlat, [row.lon, row.lat])
    assert [tiles[at].date for at in photo.acquisitions] == list(DATES)
    for at in photo.acquisitions:
        chip = tiles[at]
        assert chip.bands.shape == (128, 128, 10) and chip.crs == f'EPSG:326{zone}'
        left, top, right, bottom = chip.bounds
        assert (right - left, top - bottom) == (1280, 1280)
        column, line = (x - left) / 10, (top - y) / 10
        assert 48 <= column < 80 and 48 <= line < 80
        centres = np.arange(128) * 10 + 5
        east, north = np.meshgrid(left + centres, top - centres)
        np.testing.assert_array_equal(chip.bands, truth(chip.band_names, east, north, chip.date))
        assert chip.transform.tolist() == [10, 0, left, 0, -10, top]


def test_every_photo_has_the_pixels_of_its_own_place(build, tmp_path):
    rows, _, out = build
    counts, report, found = packed(build, tmp_path)
    assert counts == {'photos': 12, 'views': 12, 'scenes': 4, 'dropped': 0}
    assert report.splits == {'train': 12} and report.failed == 0
    assert report.notes == ('Fewer than 10 cities: all are in train.',)
    tiles = found.tiles
    photos = {photo.id: photo for photo in found.photos('train')}
    assert set(photos) == {f'folder:{name}' for name in rows.index}
    for name, row in rows.iterrows():
        photo = photos[f'folder:{name}']
        check_photo(photo, tiles, row)
        np.testing.assert_equal(photo.heading, row.heading)
        assert photo.group == row.city_id
        image = Image.open(io.BytesIO(photo.photo))
        assert abs(image.getpixel((80, 70))[0] - 10 * int(name[1:])) <= 3
    # Photos that share a chip do not store it twice.
    assert len(tiles) == len({acquisition.id for acquisition in tiles})


@pytest.mark.parametrize('wrong', ['half a pixel', 'flipped', 'axes', 'offset'])
def test_the_truth_test_can_fail(build, tmp_path, monkeypatch, wrong):
    acquisitions = pack_chunks.acquisitions_of

    def spoilt(*arguments):
        for made in acquisitions(*arguments):
            bands = made['bands']
            if wrong == 'half a pixel':
                # A pixel takes the mean with its neighbour.
                bands = ((bands.astype(int) + np.roll(bands, 1, axis=1)) // 2).astype(np.uint16)
            elif wrong == 'flipped':
                bands = bands[::-1]
            elif wrong == 'offset':
                bands = bands + np.uint16(1000 * (made['date'] == DATES[1]))
            else:
                bands = bands.swapaxes(0, 1)
            yield {**made, 'bands': np.ascontiguousarray(bands)}

    monkeypatch.setattr(pack_chunks, 'acquisitions_of', spoilt)
    _, _, found = packed(build, tmp_path)
    photo = next(iter(found.photos('train')))
    row = build[0].loc[photo.id.removeprefix('folder:')]
    with pytest.raises(AssertionError):
        check_photo(photo, found.tiles, row)


def test_the_truth_test_sees_an_offset_that_was_not_removed(tmp_path, monkeypatch):
    rows = photos_of(tmp_path / 'photos', 1)
    monkeypatch.setattr(scenes_offset, 'subtract', lambda values, removed: values)
    with catalogue.serve(scenes()) as served:
        made = config(tmp_path / 'photos', served.url)
        fetched(made, tmp_path / 'out', served)
    _, _, found = packed((rows, made, tmp_path / 'out'), tmp_path)
    (photo,) = found.photos('train')
    with pytest.raises(AssertionError):
        check_photo(photo, found.tiles, rows.iloc[0])


def test_a_finished_pack_is_reused_and_workers_change_nothing(build, tmp_path):
    _, report, found = packed(build, tmp_path / 'one')
    again = pack.pack(build[1], build[2], data_dir=tmp_path / 'one')
    assert again == report
    _, _, other = packed(build, tmp_path / 'two', workers=2)
    ids = [[photo.id for photo in s.photos('train')] for s in (found, other)]
    assert ids[0] == ids[1]
    for one, two in zip(found.tiles, other.tiles, strict=True):
        assert one.id == two.id
        np.testing.assert_array_equal(one.bands, two.bands)


def test_a_missing_or_other_file_stops_the_pack(build, tmp_path):
    rows, made, out = build
    pair.pair(made, out)
    path = out / photos_files.path_of('folder:p3', -1)
    data = path.read_bytes()
    try:
        path.unlink()
        with pytest.raises(InputError, match='p3.*fetch it again'):
            pack.pack(made, out, data_dir=tmp_path / 'a')
        path.write_bytes(data[:-1])
        with pytest.raises(InputError, match='expected the photo that was fetched'):
            pack.pack(made, out, data_dir=tmp_path / 'b')
    finally:
        path.write_bytes(data)
    scene = sorted((out / 'scenes').rglob('*.tif'))[0]
    data = scene.read_bytes()
    try:
        scene.unlink()
        with pytest.raises(InputError, match='cannot be read'):
            pack.pack(made, out, data_dir=tmp_path / 'c')
    finally:
        scene.write_bytes(data)
    assert not list((tmp_path / 'a').rglob('*.array_record*'))


def test_a_photo_lost_between_staging_and_packing_is_noticed(build, tmp_path, monkeypatch):
    making = pack_chunks.make

    def loses(job, index):
        chunk = making(job, index)
        return chunk._replace(photos=chunk.photos[1:])

    monkeypatch.setattr(pack_chunks, 'make', loses)
    with pytest.raises(InputError, match='expected 12 photos packed or dropped, found 11 and 0'):
        packed(build, tmp_path)


def test_removed_photos_are_not_packed(build, tmp_path):
    _, made, out = build
    listed = tmp_path / 'removed.txt'
    listed.write_text('p0\nfolder:p5\nnobody\n')
    made.photos.removed = str(listed)
    try:
        _, report, found = packed(build, tmp_path)
    finally:
        made.photos.removed = ''
    names = {photo.id for photo in found.photos('train')}
    assert len(names) == 10 and not names & {'folder:p0', 'folder:p5'}
    assert report.failed == 2 and found.metadata['dropped'] == {'removed': 2}


def test_what_is_not_settled_is_not_paired(tmp_path):
    rows = photos_of(tmp_path / 'photos', 2)
    with catalogue.serve(scenes()) as served:
        made = config(tmp_path / 'photos', served.url)
        plan.plan(made, tmp_path / 'out')
        with pytest.raises(InputError, match='the stage search has not run'):
            pair.pair(made, tmp_path / 'out')
        fetched(made, tmp_path / 'out', served)
    path = scenes_run.ledger_path(tmp_path / 'out', photos_files.STAGE, 0)
    with ledger.Ledger(path) as book:
        book.add(['folder:later'])
    with pytest.raises(InputError, match='fetch-photos: 1 of 3 are still to be done, as folder:l'):
        pair.pair(made, tmp_path / 'out')
    with pytest.raises(InputError, match='the stage pair comes first'):
        pack.pack(made, tmp_path / 'out')
    assert len(rows) == 2


def test_cities_that_share_a_tile_share_a_split(build):
    """Splits go by the tile's city: no ground is in two of them."""
    rows, made, out = build
    pair.pair(made, out)
    photos = pair.read(out, 'photos')
    job = pack.job_of(made, out)
    ground = pack_chunks.tiles_of(out)[0][0]
    shared = dataclasses.replace(job, fractions=(0.4, 0.3, 0.3))
    row = photos[photos['tile'] == ground.key].iloc[0].to_dict()
    splits = {
        pack_chunks.photo_of(shared, {**row, 'city_id': city}, ground, 'k')['split']
        for city in 'abcdefgh'
    }
    other = {
        pack_chunks.photo_of(shared, row, ground._replace(city=city), 'k')['split']
        for city in 'abcdefgh'
    }
    assert len(splits) == 1 and len(other) > 1


def test_photos_without_a_scene_or_outside_are_dropped_with_a_reason(build):
    _, _, out = build
    tiles = plan_files.tiles(out)
    tile = next(tile for tile in tiles.values() if tile.city == 'paris')
    planned = pd.DataFrame(
        [{'lon': 2.3522, 'lat': 48.8566, 'tile': tile.key}, {'lon': 2.5, 'lat': 48.8566,
         'tile': tile.key}, {'lon': 2.3522, 'lat': 48.8566, 'tile': 'elsewhere'}]
    )  # fmt: skip
    found = pair._placed(planned, tiles, {tile.key}, TilesConfig())
    assert found['reason'].tolist() == ['', pair.OUTSIDE, pair.NO_SCENE]


def test_a_worker_that_never_ran_is_missed(build, tmp_path):
    """Its ledger is not there, and nothing else says so."""
    _, made, out = build
    for stage, words in (
        ('search', '1 of 2 were never asked for, as paris'),
        ('select', '1 of 2 were never asked for, as paris'),
        ('fetch-scenes', '1 of 2 were never asked for, as paris'),
        ('fetch-photos', '1 of 12 were never asked for, as folder:p7'),
    ):
        copy = tmp_path / stage
        shutil.copytree(out, copy)
        with ledger.Ledger(scenes_run.ledger_path(copy, stage, 0)) as book:
            book._db.execute("delete from entries where key like 'paris%' or key = 'folder:p7'")
        with pytest.raises(InputError, match=f'{stage}: {words}.*: a worker has not run'):
            pair.pair(made, copy)


def tile(side=320):
    return Tile('t', 'EPSG:32632', (10.0, 0.0, 500000.0, 0.0, -10.0, 5e6), side, side, '')


def test_a_photo_is_in_the_middle_cell_of_its_chip():
    xy = np.random.default_rng(0).uniform(95, 225, (1000, 2))
    found = chips.corners(xy, tile(), TilesConfig())
    inside = xy - found
    assert (inside >= 48).all() and (inside < 80).all() and (found % 32 == 0).all()
    assert (found >= 0).all() and (found + 128 <= 320).all()


def test_chips_stay_within_their_tile_and_whole_tiles_are_left_whole():
    near = chips.corners(np.array([[3.0, 317.0]]), tile(), TilesConfig())
    assert near.tolist() == [[0, 192]]
    whole = TilesConfig(chip=0)
    assert chips.corners(np.array([[200.0, 20.0]]), tile(), whole).tolist() == [[0, 0]]
    assert chips.box((0, 0), tile(), whole) == (0, 0, 320, 320)
    release = TilesConfig(layout='release')
    assert chips.box((32, 32), tile(), release) == (0, 0, 320, 320)
    part = chips.box((32, 64), tile(), TilesConfig())
    assert chips.bounds_of(part, tile()) == (500320, 4999360, 501600, 4998080)


@pytest.mark.parametrize(
    ('changed', 'words'),
    [
        ({'chip': 101}, 'tiles.chip: expected 0, or tiles.cell = 32 and an even number more'),
        ({'chip': 127}, 'tiles.chip: .* found 127'),
        ({'cell': 0}, 'tiles.cell: expected 1 to tiles.chip = 128, found 0'),
        ({'chip': -1}, 'tiles.chip: .* found -1'),
    ],
)
def test_chips_that_cannot_be_are_refused(changed, words):
    settings = TilesConfig(**changed)
    with pytest.raises(InputError, match=words):
        chips.check(settings)
