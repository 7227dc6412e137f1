"""The page, the table and the pictures of `gair search`, and its forms from end to end."""

import base64
import configparser
import csv
import hashlib
import html.parser
import json
import math
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import gair_jax
from gair_jax import cli
from gair_jax.geo import tiles
from gair_jax.geo.sphere import great_circle_m
from gair_jax.input.raster_files import RasterArray, georeference
from gair_jax.report import search as report
from gair_jax.report.search_page import page, tile_map
from gair_jax.report.search_page.findings import (
    COLUMNS,
    NOWHERE,
    Findings,
    Hit,
    ListedPhoto,
    Query,
    write_table,
)
from gair_jax.report.search_page.tile_map import LATTICE, TileMap
from gair_jax.sensors import contract
from gair_jax.serve.gallery import Top, unit64
from tests.serve import search_scene

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTILE = "\"><img src=x onerror=alert(1)></script><script>alert('$2')</script>&amp;<!--"
BOX = (500_000.0, 5_300_480.0, 500_480.0, 5_300_000.0)


def a_map(place=None):
    place = place or georeference(BOX, 'EPSG:32632', (48, 48))
    return TileMap('tile.tif', np.full((4, 4, 4), 200, np.uint8), place, (480.0, 480.0))


def found(files=('', ''), map_=None):
    """Two photos, each with a heat map over 2 x 3 cells, and their places; names are hostile."""
    map_ = map_ or a_map()
    inside = tuple(
        tiles.tile_xy_to_lonlat(np.array([0.5, -0.5]), map_.place.bounds, map_.place.crs)
    )
    near = Top(6, 2)
    near.add(np.tile([[0.5, 0.25]], (6, 1)), np.arange(2))
    near.score[5], near.row[5] = -np.inf, -1
    heats = np.linspace(-0.5, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    heats[0, 0, 0] = np.nan
    return Findings(
        kind='places', title=HOSTILE, summary=HOSTILE, origin=HOSTILE,
        queries=[Query(0, 0, inside), Query(1, 1, NOWHERE)],
        hits=[Hit(0, 1, 0.9, inside), Hit(0, 2, 0.8, inside), Hit(1, 1, -0.25, inside)],
        photos=[
            ListedPhoto(HOSTILE, HOSTILE, files[0], inside),
            ListedPhoto('b', 'b.jpg', files[1], NOWHERE),
        ],
        heats=heats, near=near, map=map_,
    )  # fmt: skip


class Outline(html.parser.HTMLParser):
    """Start tags with attributes, and the text inside each script, style, title and h1."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self._inside = [], {}, None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ('script', 'style', 'title', 'h1'):
            self._inside = f'{tag} {dict(attrs).get("type", "")}'.strip()
            self.text[self._inside] = ''

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.text[self._inside] += data


def outline(path):
    parser = Outline()
    parser.feed(path.read_text(encoding='utf-8'))
    return parser


@pytest.fixture
def written(tmp_path):
    page.write(found(), tmp_path / 'page.html', thumbnails=5)
    assert [p.name for p in tmp_path.iterdir()] == ['page.html']
    return outline(tmp_path / 'page.html')


def test_names_stay_text_and_the_page_loads_nothing(written):
    tags = [tag for tag, _ in written.tags]
    assert tags.count('script') == 2 and tags.count('style') == 1
    attributes = [(name, value) for _, attrs in written.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith('on') or name in ('src', 'href')]
    assert written.text['title'] == written.text['h1'] == HOSTILE
    # Neither in the data nor in the script stands an address.
    code = written.text['script'] + written.text['style'] + written.text['script application/json']
    assert not re.search(r'https?:|url\(|@import|//[a-z]+\.', code)
    assert 'innerHTML' not in code and 'insertAdjacent' not in code and 'document.write' not in code


def test_the_policy_names_the_one_script_and_the_one_style(written):
    policy = next(a['content'] for _, a in written.tags if 'http-equiv' in a)
    rules = dict(rule.strip().split(' ', 1) for rule in policy.split(';'))
    assert rules['default-src'] == rules['base-uri'] == rules['form-action'] == "'none'"
    assert rules['img-src'] == 'data:'
    for rule, kind in (('script-src', 'script'), ('style-src', 'style')):
        digest = hashlib.sha256(written.text[kind].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_the_data_come_back_within_half_a_level(written):
    data = json.loads(written.text['script application/json'])
    assert data['photos'][0]['name'] == HOSTILE
    heats = found().heats
    for index, heat in enumerate(data['heats']):
        levels = np.frombuffer(base64.b64decode(heat['levels']), np.uint8).reshape(2, 3)
        values = heat['low'] + levels / 254 * (heat['high'] - heat['low'])
        missing = np.isnan(heats[index])
        assert np.array_equal(levels == page.NO_DATA, missing)
        half = (heat['high'] - heat['low']) / 508
        assert np.abs(values - heats[index])[~missing].max() <= half * 1.001
    near = data['near']
    photo = np.frombuffer(base64.b64decode(near['photo']), '<u4').reshape(6, 2)
    level = np.frombuffer(base64.b64decode(near['level']), np.uint8).reshape(6, 2)
    assert photo[:5].tolist() == [[0, 1]] * 5 and (level[:5] == [254, 0]).all()
    assert level[5].tolist() == [page.NO_DATA] * 2
    assert data['hits'][0]['xy'] == pytest.approx([0.75, 0.25])
    assert data['hits'][2]['metres'] is None and data['photos'][1]['lonlat'] is None


def test_the_table_holds_what_is_known(tmp_path):
    write_table(found(), tmp_path / 'results.csv')
    with (tmp_path / 'results.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]['query'] == HOSTILE and rows[0]['score'] == '0.900000'
    assert float(rows[0]['lon']) == pytest.approx(found().hits[0].lonlat[0], abs=1e-7)
    assert rows[0]['metres'] == '0.0'
    assert rows[2]['query'] == 'b.jpg' and rows[2]['metres'] == rows[2]['best_lon'] == ''


def test_only_so_many_photos_are_put_in_and_broken_ones_are_counted(tmp_path):
    good = search_scene.photo(tmp_path / 'good.jpg')
    (tmp_path / 'broken.jpg').write_bytes(b'no photo')

    def thumbnails(files, most):
        failed = page.write(found(files), tmp_path / 'page.html', thumbnails=most)
        data = json.loads(outline(tmp_path / 'page.html').text['script application/json'])
        return failed > 0, [photo['thumbnail'][:22] for photo in data['photos']]

    assert thumbnails((str(good), str(good)), 1) == (False, ['data:image/jpeg;base64', ''])
    broken = (str(good), str(tmp_path / 'broken.jpg'))
    assert thumbnails(broken, 2) == (True, ['data:image/jpeg;base64', ''])


def test_the_lattice_is_where_the_projection_puts_it():
    made = a_map()
    lattice = made.lattice()
    corner = tiles.tile_xy_to_lonlat(np.array([-1.0, 1.0]), made.place.bounds, made.place.crs)
    np.testing.assert_allclose(lattice[-1, 0], corner)
    # Between nodes, as the page interpolates, a 100 km tile is right to 5 m.
    wide = a_map(georeference((6e5, 5.3e6, 7e5, 5.2e6), 'EPSG:32632', (9, 9)))
    lattice, step = wide.lattice(), 2 / (LATTICE - 1)
    middle = lattice[:2, :2].mean(axis=(0, 1))
    true = tiles.tile_xy_to_lonlat(
        np.array([-1 + step / 2, -1 + step / 2]), wide.place.bounds, wide.place.crs
    )
    assert great_circle_m(middle, true) < 5


def test_a_map_over_the_antimeridian_goes_on_beyond_180_degrees():
    made = a_map(georeference((179.5, 1, 180.5, 0), 'EPSG:4326', (9, 9)))
    lon = made.lattice()[0, :, 0] % 360
    np.testing.assert_allclose(lon, np.linspace(179.5, 180.5, LATTICE))
    assert np.abs(np.diff(made.lattice()[0, :, 0])).max() < 1
    assert made.position((-179.75, 0.5)) == pytest.approx([0.75, 0.5])


def test_north_turns_by_the_convergence_of_the_meridians():
    on_meridian = georeference((499_000, 5.3e6, 501_000, 5.298e6), 'EPSG:32632', (9, 9))
    assert a_map(on_meridian).north() == pytest.approx(0, abs=1e-3)
    east = a_map(georeference((7.99e5, 5.3e6, 8.01e5, 5.298e6), 'EPSG:32632', (9, 9)))
    lon, lat = east.lattice()[LATTICE // 2, LATTICE // 2]
    convergence = math.degrees(
        math.atan(math.tan(math.radians(lon - 9)) * math.sin(math.radians(lat)))
    )
    # True north is west of grid north there; the formula is that of the sphere.
    assert east.north() == pytest.approx(-convergence, abs=0.02) and convergence > 2


def test_a_tile_is_drawn_in_true_colour_with_holes(monkeypatch):
    bands = np.random.default_rng(0).integers(1, 3000, (30, 50, 10), np.uint16)
    bands[:4, :6] = 0
    place = georeference((0, 1, 1, 0), 'EPSG:4326', (30, 50))
    raster = RasterArray(bands, contract('sentinel2_10'), place, 'tile.tif')
    whole = tile_map.of_tile(raster).picture
    assert whole.shape == (30, 50, 4)
    assert (whole[:4, :6] == 0).all() and (whole[4:, :, 3] == 255).all()
    red = bands[..., 2].astype(float)  # B04
    low, high = np.percentile(red[whole[..., 3] > 0], [2, 98])
    expected = np.round(255 * np.clip((red - low) / (high - low), 0, 1))
    assert np.abs(whole[..., 0] - expected)[whole[..., 3] > 0].max() <= 1
    monkeypatch.setattr(tile_map, 'STRIP', 7)
    assert np.array_equal(tile_map.of_tile(raster).picture, whole)
    monkeypatch.setattr(tile_map, 'SIDE', 20)
    assert tile_map.of_tile(raster).picture.shape == (10, 17, 4)


def test_a_frame_holds_its_places():
    places = np.array([[10.0, 50.0], [11.0, 51.0], [np.nan, np.nan]])
    made = tile_map.around(places)
    assert made.position((10, 50)) == pytest.approx([0.08 / 1.16, 1.08 / 1.16])
    assert tile_map.around(places[:1]).position((10, 50)) == pytest.approx([0.5, 0.5])
    assert tile_map.around(places[2:]).position((0, 0)) == pytest.approx([0.5, 0.5])


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    """A folder with a tile, photos and a gallery of them; three of its rows are located in it."""
    folder = tmp_path_factory.mktemp('search')
    model = search_scene.embedder()
    search_scene.tile(folder / 't.tif')
    files = [search_scene.photo(folder / f'photos/{i}.jpg', i) for i in range(5)]
    lonlat = np.full((7, 2), np.nan)
    lonlat[:3] = [(9.001, 47.8525), (9.003, 47.851), (10.0, 48.0)]
    sv = np.full((7, search_scene.WIDTH), np.nan)
    sv[:5] = model.encode_sv(files)
    sv[5] = sv[0]
    location = np.full_like(sv, np.nan)
    location[:3] = model.encode_location(lonlat[:3])
    search_scene.gallery(
        folder / 'g.parquet', {'sv': sv, 'location': location}, lonlat,
        photo=[*(f'photos/{i}.jpg' for i in range(5)), '../outside.jpg', None],
    )  # fmt: skip
    return folder


@pytest.fixture
def gair(scene, monkeypatch, tmp_path):
    """Runs `gair search` in the scene; returns the exit code and the rows of its table."""
    monkeypatch.chdir(scene)
    monkeypatch.setattr(
        gair_jax, 'load', lambda path, revision='', compute='': search_scene.embedder()
    )
    monkeypatch.setattr('gair_jax.serve.compiled_cache.use', lambda: None)
    out = tmp_path / 'out'

    def run(*words):
        code = cli.main(['search', '--checkpoint', 'small', '--out', str(out), *words])
        if not (out / 'results.csv').exists():
            return code, []
        with (out / 'results.csv').open(newline='') as file:
            return code, list(csv.DictReader(file))

    run.out = out
    return run


def test_where_a_photo_was_taken(gair, scene, capsys):
    code, rows = gair('--photo', 'photos/1.jpg', '--tile', 't.tif', '--place=9.003,47.851')
    assert code == 0 and capsys.readouterr().out.count('\n') == 1
    assert sorted(p.name for p in gair.out.iterdir()) == [
        'heat_map.png',
        'page.html',
        'results.csv',
    ]
    model = search_scene.embedder()
    best = np.array([[float(rows[0]['lon']), float(rows[0]['lat'])]])
    cosine = (
        unit64(model.query(scene / 't.tif', best)) @ unit64(model.encode_sv(['photos/1.jpg'])).T
    )
    assert cosine.item() == pytest.approx(float(rows[0]['score']), abs=1e-4)
    metres = great_circle_m(best[0], np.array([9.003, 47.851]))
    assert float(rows[0]['metres']) == pytest.approx(float(metres), abs=0.1)
    with Image.open(gair.out / 'heat_map.png') as image:
        assert image.width > 600


def test_photos_of_a_tile_and_of_a_place_in_it(gair, scene):
    code, rows = gair('--tile', 't.tif', '--gallery', 'g.parquet', '--top', '9')
    assert code == 0 and len(rows) == 6
    # Row 5 has the embedding of row 0: the same score, and named after it.
    ids = [row['id'] for row in rows]
    assert ids.index('p5') == ids.index('p0') + 1
    assert all(row['score'] == row['best_score'] for row in rows)
    data = json.loads(outline(gair.out / 'page.html').text['script application/json'])
    assert [bool(photo['thumbnail']) for photo in data['photos']] == [True] * 5 + [False]
    first = next(hit for hit in data['hits'] if hit['photo'] == 0)
    assert first['own'] and len(data['heats']) == 6 and data['near']['k'] == 6

    code, rows = gair('--tile', 't.tif', '--at=9.003,47.851', '--gallery', 'g.parquet')
    model = search_scene.embedder()
    here = unit64(model.query(scene / 't.tif', [[9.003, 47.851]]))
    photos = unit64(model.encode_sv([f'photos/{i}.jpg' for i in range(5)]))
    expected = (here @ photos.T)[0]
    got = {row['id']: float(row['score']) for row in rows}
    np.testing.assert_allclose([got[f'p{i}'] for i in range(5)], expected, atol=1e-4)
    assert all(float(row['best_score']) >= float(row['score']) - 1e-4 for row in rows)


def test_photos_of_a_place_and_places_of_a_photo(gair):
    code, rows = gair('--place=9.001,47.8525', '--gallery', 'g.parquet')
    model = search_scene.embedder()
    photos = unit64(model.encode_sv([f'photos/{i}.jpg' for i in range(5)]))
    expected = (unit64(model.encode_location([[9.001, 47.8525]])) @ photos.T)[0]
    got = {row['id']: float(row['score']) for row in rows}
    np.testing.assert_allclose([got[f'p{i}'] for i in range(5)], expected, atol=1e-5)
    assert next(row['metres'] for row in rows if row['id'] == 'p0') == '0.0'
    assert next(row['metres'] for row in rows if row['id'] == 'p4') == ''
    assert sorted(p.name for p in gair.out.iterdir()) == ['page.html', 'results.csv', 'results.png']

    code, rows = gair(
        '--photo', 'photos/0.jpg', 'photos/1.jpg', '--gallery', 'g.parquet', '--top=2'
    )
    assert code == 0
    assert [(row['query'], row['rank']) for row in rows] == [
        ('photos/0.jpg', '1'), ('photos/0.jpg', '2'), ('photos/1.jpg', '1'), ('photos/1.jpg', '2'),
    ]  # fmt: skip
    assert {row['id'] for row in rows} <= {'p0', 'p1', 'p2'}  # those with a place


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--photo', 'photos/0.jpg'], 'expected --tile or --gallery'),
        (['--gallery', 'g.parquet'], 'expected --photo with --tile or --gallery, or --gallery'),
        (['--tile', 't.tif'], 'expected --photo with --tile or --gallery, or --gallery'),
        (['--place=1;2', '--gallery', 'g.parquet'], "expected LON,LAT in degrees, found '1;2'"),
        (['--place=9,99', '--gallery', 'g.parquet'], 'lat in [-90, 90], found lon 9.0, lat 99.0'),
        (['--place=99,9', '--gallery', 'none.parquet'], 'none.parquet: no such gallery'),
        (['--place=9,48', '--gallery', 't.tif'], 't.tif: expected a Parquet table'),
        (['--place=9,48', '--gallery', 'g.parquet', '--top=0'], 'top: expected at least 1'),
        (['--place=9,48', '--gallery', 'g.parquet', '--thumbnails=-1'], 'thumbnails: expected'),
        (['--place=9,48', '--gallery', 'g.parquet', '--root=no'], 'no: expected a folder'),
        (['--photo', 'no.jpg', '--tile', 't.tif'], 'no.jpg'),
        (['--photo', 't.tif', '--tile', 't.tif'], 'photo unreadable: t.tif is no JPEG or PNG'),
        (['--photo', 'photos/0.jpg', '--tile', 'no.tif'], 'no.tif'),
        (['--photo', 'photos/0.jpg', '--tile', 't.tif', '--spacing-px=-3'], 'spacing-px: expected'),
        (['--photo', 'photos/0.jpg', '--tile', 't.tif', '--apart=-1'], 'apart: expected metres'),
        (['--photo', 'photos/0.jpg', '--tile', 't.tif', '--window=-8'], 'window: expected pixels'),
        (['--photo', 'photos/0.jpg', '--tile', 't.tif', '--overlap=1'], 'overlap: expected'),
        (['--photo', 'photos/0.jpg', '--gallery', 'g.parquet', '--by=rs'], 'embedding_rs, found'),
        (
            ['--photo', 'photos/0.jpg', 'photos/1.jpg', '--tile', 't.tif', '--place=9,48'],
            'place: expected one photo that was taken there, found 2',
        ),
        (
            ['--tile', 't.tif', '--gallery', 'g.parquet', '--at=9,40'],
            'outside its tile',
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_one_sentence_and_leaves_nothing(gair, capsys, words, said):
    code, _ = gair(*words)
    error = capsys.readouterr().err
    assert code == 2 and said in error and error.count('\n') == 1, error
    assert not gair.out.exists()


def test_the_wheel_holds_the_parts_of_the_page():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    patterns = setup['options.package_data']['gair_jax.report.search_page'].split()
    folder = pathlib.Path(page.__file__).parent
    parts = [path for path in folder.iterdir() if path.suffix not in ('.py', '') and path.is_file()]
    assert len(parts) == 3 and all(any(p.match(q) for q in patterns) for p in parts)


def test_pictures_show_what_was_found(tmp_path):
    assert report.draw(found(), tmp_path) == 'heat_map.png'
    with Image.open(tmp_path / 'heat_map.png') as image:
        pixels = np.asarray(image.convert('RGB')).reshape(-1, 3).astype(int)
    assert (np.abs(pixels - (255, 45, 85)).max(axis=1) < 8).any()  # the best place, in red
    assert (np.abs(pixels - (240, 249, 33)).max(axis=1) < 8).any()  # plasma's highest


@pytest.mark.slow
def test_a_browser_draws_it(tmp_path):
    browser = shutil.which('chromium') or shutil.which('google-chrome')
    if not browser:
        pytest.skip('no Chromium here')
    page.write(found(), tmp_path / 'page.html', thumbnails=5)
    ran = subprocess.run(
        [browser, '--headless', '--no-sandbox', '--disable-gpu', '--dump-dom',
         f'--user-data-dir={tmp_path / "profile"}', f'file://{tmp_path / "page.html"}'],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    drawn = Outline()
    drawn.feed(ran.stdout)
    names = [attrs.get('class', '').removesuffix(' chosen') for _, attrs in drawn.tags]
    assert names.count('row') == names.count('mark') == 2  # those of the first photo
    assert [tag for tag, _ in drawn.tags].count('script') == 2
    assert not [attrs for _, attrs in drawn.tags if 'onerror' in attrs]
    assert 'similarity' in ran.stdout.lower() and '1.000' not in ran.stdout
