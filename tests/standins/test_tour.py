"""The tour without network: what it serves, and from its printed commands to a training run."""

import contextlib
import dataclasses
import io
import math
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys

import numpy as np
import pyproj
import pytest
from PIL import Image

from gair_jax import cli, config_files
from gair_jax.builders.streetscapes import layouts
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.config import DataConfig
from gair_jax.input import pipeline, store
from tests.standins import __main__, photo_api, tour

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/pretrain/streetscapes.py'
SIZES = ('--cities=2', '--photos=12', '--dates=2')


def started(*arguments):
    command = [sys.executable, '-m', 'tests.standins', *arguments]
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    return subprocess.Popen(command, cwd=ROOT, **pipes)


@contextlib.contextmanager
def serving(*arguments):
    """What a started tour says; then Ctrl-C, at which it must end in good order."""
    process = started(*arguments)
    try:
        said = ['']
        while 'Serving' not in said[-1]:
            said.append(process.stdout.readline())
            assert said[-1], process.stderr.read()
        yield ''.join(said)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read() == 'Stopped.\n' and process.stderr.read() == ''
    finally:
        process.kill()
        process.communicate()


def commands(said):
    """The environment and the words after `gair` of each printed command."""
    found = []
    for block in re.split(r'\n\s*\n', said):
        words = shlex.split(block.replace('\\\n', ' '))
        if 'gair' in words:
            at = words.index('gair')
            found.append((dict(word.split('=', 1) for word in words[:at]), words[at + 1 :]))
    return found


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Folder of a set that was built by the printed command, and the command to train on it."""
    folder = tmp_path_factory.mktemp('tour')
    with serving('--port=0', *SIZES, f'--out={folder}') as said:
        (environment, build), (nothing, train) = commands(said)
        assert '24 photos and 4 scenes of 2 cities, all made up (synthetic)' in said
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            for name, value in environment.items():
                patch.setenv(name, value)
            assert cli.main([*build, f'--data-dir={folder / "prepared"}', '--workers=1']) == 0
    assert not nothing
    return folder, train


def test_the_readme_shows_what_is_printed():
    printed = __main__.COMMANDS.format(
        token='tour',
        table='tour/photos.csv',
        scenes='http://127.0.0.1:8765',
        photos='http://127.0.0.1:8766',
        build='tour/build',
        run='tour/run',
    )
    shown = ' '.join((ROOT / 'README.md').read_text().split())
    for command in printed.strip().split('\n\n'):
        assert ' '.join(command.split()) in shown


def test_the_printed_command_builds_the_set_of_the_closed_form(built):
    folder, _ = built
    found = store.Store(
        DataConfig(dir=str(folder / 'prepared'), name='streetscapes', variant='tour')
    )
    _, stands = tour.stands(2, 12)
    photos = list(found.photos('train'))
    assert {photo.id for photo in photos} == {f'mapillary:{name}' for name in stands}
    for photo in photos[::5]:
        stand = stands[photo.id.removeprefix('mapillary:')]
        assert photo.heading == stand.heading
        assert photo.date == stand.time.isoformat(timespec='milliseconds')
        assert photo.photo != tour.picture(stand)  # it was made small by the builder
        assert len(photo.acquisitions) == 2
        for at in photo.acquisitions:
            chip = found.tiles[at]
            to_utm = pyproj.Transformer.from_crs('EPSG:4326', chip.crs, always_xy=True)
            assert math.dist(to_utm.transform(*photo.lonlat), (stand.x, stand.y)) < 0.02
            np.testing.assert_array_equal(chip.bands, truth(chip))


def truth(chip):
    """Pixels of a chip, from where it lies: bands of 20 m fill four pixels of 10 m."""
    left, top, *_ = chip.bounds
    made = []
    for band in chip.band_names:
        size = 10 if band in ('B02', 'B03', 'B04', 'B08') else 20
        steps = (np.arange(128) * 10 + 5) // size * size + size / 2
        x, y = np.meshgrid(left // size * size + steps, top - steps)
        made.append(tour.reflectance(*tour.ground(x, y), band, chip.date))
    return np.stack(made, axis=-1)


def test_a_window_holds_its_photo_wherever_it_is_cut(built):
    folder, _ = built
    config = config_files.load(f'{CONFIG}:tour', [])
    config.data.dir = str(folder / 'prepared')
    data = pipeline.Pipeline(config, 'train')
    batch = data.batch(0)
    assert batch['rs'].shape == (64, 96, 96, 10) and batch['sv'].shape == (64, 64, 64, 3)
    # At 16..80 of 96 pixels, by the chips' own rule.
    assert np.abs(batch['xy']).max() <= 2 / 3 + 1e-6
    # A window has 33 places each way: a photo at 0.69 of xy.
    assert np.ptp(batch['xy'], axis=0).min() > 0.6
    # Cities alike, whatever they have: 64 draws of two, 6 standard deviations.
    groups = [data._examples.photos[int(index)].group for index in batch['index']]
    assert set(groups) == {'paris', 'nairobi'} and abs(groups.count('paris') - 32) <= 24


@pytest.mark.slow
def test_the_printed_command_trains_without_a_validation_split(built, capsys):
    folder, train = built
    small = ('--config.steps=2', '--config.batch=16', '--config.eval.every=1')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert cli.main([*train, *small, f'--config.data.dir={folder / "prepared"}']) == 0
    assert '2 steps done' in capsys.readouterr().out
    metrics = (folder / 'run/metrics.jsonl').read_text()
    assert '"incl"' in metrics and 'val_loss' not in metrics


@pytest.mark.slow
def test_the_release_layout_trains_on_whole_tiles(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with serving('--port=0', *SIZES, f'--out={tmp_path}') as said:
        (environment, build), _ = commands(said)
        monkeypatch.setenv(*environment.popitem())
        more = ('--config.tiles.layout=release', f'--data-dir={tmp_path / "prepared"}')
        assert cli.main([*build, *more, '--workers=1']) == 0
    config = config_files.load(f'{CONFIG}:release', [])
    config.data.dir, config.data.variant = str(tmp_path / 'prepared'), 'tour'
    config.batch = 8
    data = pipeline.Pipeline(config, 'train')
    shapes = {data.tile_shape(index) for index in range(len(data._examples.photos))}
    # Of paris (49 degrees north) and nairobi: 246 pixels wide, and cos(lat) of it high.
    assert all(columns in (245, 246) for _, columns in shapes)
    assert {round(rows / 246, 1) for rows, _ in shapes} == {0.7, 1.0}
    assert data.batch(0)['rs'].shape == (8, 96, 96, 10)


def test_photos_and_scenes_cover_each_other():
    scenes = {scene.left: scene for scene in tour.scenes(12, 1)}
    assert len(scenes) == 12
    table, stands = tour.stands(12, 30)
    assert len(table) == len(stands) == len(set(table['id'])) == 360
    for (city, rows), (lon, lat) in zip(
        table.groupby('city', sort=False), tour.CITIES.values(), strict=True
    ):
        assert (rows['city_lon'] == lon).all()
        scene = next(s for s in scenes.values() if s.mgrs.endswith(f'A{letter(city)}'))
        to_utm = pyproj.Transformer.from_crs(4326, scene.epsg, always_xy=True)
        far = [math.dist(to_utm.transform(lon, lat), stands[name][1:3]) for name in rows['id']]
        assert max(far) < 1000
        lonlat = rows[['lon', 'lat']].to_numpy()
        native = layouts.native(lonlat, rows['city'], 95).tiles
        release = layouts.release(lonlat, rows[['city_lon', 'city_lat']].to_numpy(), rows['city'])
        assert len(native) == 1 and native[0].crs == f'EPSG:{scene.epsg}'
        for tile in (*native, *release.tiles):
            box = pyproj.Transformer.from_crs(tile.crs, scene.epsg, always_xy=True)
            left, top, right, bottom = tile.bounds
            x0, y0, x1, y1 = box.transform_bounds(left, bottom, right, top)
            assert scene.left <= x0 and x1 <= scene.left + 5120, city
            assert scene.top - 5120 <= y0 and y1 <= scene.top, city


def letter(city):
    return chr(ord('A') + list(tour.CITIES).index(city))


def test_reflectances_are_sane_and_carry_the_offset_of_their_baseline():
    scene = tour.scenes(1, 1)[0]
    small = dataclasses.replace(scene, side=64)
    values = np.stack([small.values(band)[:32, :32] for band in BANDS]).astype(int) - 1000
    assert values.min() >= 200 and values.max() <= 4000
    assert (small.values('SCL') == 4).all()


@pytest.mark.parametrize('number', [0, 10, 75, 119])
def test_a_photo_shows_the_ground_before_its_feet(number):
    _, stands = tour.stands(4, 30)
    stand = list(stands.values())[number]
    image = np.asarray(Image.open(io.BytesIO(tour.picture(stand)))).astype(int)
    turn = math.radians(stand.heading)
    # Row 180 is 60.5 pixels below the horizon, the focal length 160, the eye 10 m high.
    for row, column in ((180, 10), (180, 310), (235, 160), (150, 300)):
        ahead = 10 / ((row + 0.5 - 120) / 160)
        side = ahead * ((column + 0.5) / 160 - 1)
        x = stand.x + ahead * math.sin(turn) + side * math.cos(turn)
        y = stand.y + ahead * math.cos(turn) - side * math.sin(turn)
        shares, bright = tour.ground(np.array([x]), np.array([y]))
        colour = shares[0] @ np.array(list(tour.COLOURS.values())) * bright[0]
        assert np.abs(image[row, column] - colour).max() <= 8, (row, column)
    assert np.abs(image[50, 200] - np.array(tour.SKY)).max() <= 6


def test_dates_are_in_months_of_their_own():
    assert tour.dates(4) == ['2023-01-15', '2023-07-15', '2024-01-15', '2024-07-15']
    assert len({date[:7] for date in tour.dates(24)}) == 24


def test_faults_are_those_of_the_specification():
    _, stands = tour.stands(12, 60)
    calm, wild = (tour.api(stands, faults=faults) for faults in (False, True))
    assert {calm.fault(name) for name in stands} == {''}
    assert [wild.fault(name) for name in stands] == [photo_api.by_hash(name) for name in stands]
    assert {'gone', 'error once'} < {wild.fault(name) for name in stands}
    assert calm.fault('1') == wild.fault('1') == 'gone'


def test_a_port_in_use_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(signal, 'signal', lambda *handler: None)  # pytest has its own
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert __main__.main([f'--port={port}', f'--out={tmp_path / "out"}', *SIZES]) == 2
    said = capsys.readouterr()
    assert said.err == f'standins: ports {port} and {port + 1}: Address already in use.\n'
    assert said.out == '' and not (tmp_path / 'out').exists()
    (tmp_path / 'file').write_text('')
    assert __main__.main(['--port=0', f'--out={tmp_path / "file"}', *SIZES]) == 2
    assert capsys.readouterr().err == f'standins: {tmp_path / "file"}: File exists.\n'


@pytest.mark.parametrize(
    'bad', ['--cities=13', '--cities=0', '--photos=many', '--dates=25', '--port=-1']
)
def test_numbers_out_of_range_are_refused(tmp_path, capsys, bad):
    with pytest.raises(SystemExit, match='2'):
        __main__.parser().parse_args([bad, f'--out={tmp_path}'])
    said = capsys.readouterr().err
    name, value = bad.split('=')
    assert re.search(f"argument {name}: expected [0-9]+ to [0-9]+, found '{value}'", said)
