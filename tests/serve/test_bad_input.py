"""What a user may get wrong, verb by verb: one sentence each, exit code 2, nothing left behind."""

import os
import pickle
import shutil

import numpy as np
import pytest
import rasterio
from PIL import Image

from gair_jax import cli
from tests.builders import scenes
from tests.serve import search_scene

PLACE = '--at=9.005,47.995'
EMBED = ('--checkpoint', 'ckpt', '--out', 'new.parquet')
QUERY = ('--checkpoint', 'ckpt', '--out', 'new.parquet', PLACE)
MAP = ('--checkpoint', 'ckpt', '--out', 'new.tif')
SEARCH = ('--checkpoint', 'ckpt', '--out', 'new')

# The command, and words of its one sentence: what is wrong, what was found, what was expected.
REFUSED = [
    (('convert', 'absent.pth', 'new'), ('absent.pth', 'no such file')),
    (('convert', 'code.pth', 'new'), ('code.pth', 'never built')),
    (('convert', 'other.safetensors', 'new'), ('layouts', 'a.weight')),
    (('convert', 'cut.safetensors', 'new'), ('cut.safetensors', 'safetensors')),
    (('convert', 'notes.txt', 'new'), ('notes.txt', '.safetensors')),
    (('convert', 'other.safetensors', 'notes.txt'), ('notes.txt', 'new name')),
    (('convert', 'notes', 'new.pth'), ('notes', 'checkpoint')),
    (('convert', 'other.safetensors', 'new', '--source', 'croma'), ('croma', 'a.weight')),
    (('convert', 'ckpt', 'new.pth', '--case', 'absent.npz'), ('absent.npz',)),
    (('embed', 'absent.csv', *EMBED), ('absent.csv', 'no such')),
    (('embed', 'notes.txt', *EMBED), ('notes.txt', '.csv')),
    (('embed', 'empty.csv', *EMBED), ('empty.csv', 'no rows')),
    (('embed', 'twice.csv', *EMBED), ('twice.csv', "'lon' twice")),
    (('embed', 'uneven.csv', *EMBED), ('uneven.csv', '3')),
    (('embed', 'latin.csv', *EMBED), ('latin.csv', 'UTF8')),
    (('embed', 'places.csv', *EMBED, '--columns', 'lon=x'), ('places.csv', "'x'", 'id, lon')),
    (('embed', 'places.csv', *EMBED, '--what', 'all'), ("'all'", 'location')),
    (('embed', 'places.csv', *EMBED, '--root', 'nowhere'), ('nowhere', 'folder')),
    (('embed', 'places.csv', *EMBED, '--batch-rows', '0'), ('batch-rows', '0')),
    (('embed', 'places.csv', *EMBED[:2], '--out', 'new.txt'), ('new.txt', '.parquet')),
    (('embed', 'places.csv', '--checkpoint', 'absent', *EMBED[2:]), ('absent', 'no such')),
    (('embed', 'places.csv', '--checkpoint', 'notes', *EMBED[2:]), ('notes', 'no checkpoint')),
    (('query', 'absent.tif', *QUERY), ('absent.tif', 'No such file')),
    (('query', 'cut.tif', *QUERY), ('cut.tif', 'unreadable')),
    (('query', 'rgb.tif', *QUERY), ('rgb.tif', 'band', '3')),
    (('query', 'unplaced.tif', *QUERY), ('unplaced.tif', 'no georeference')),
    (('query', 'tile.tif', *QUERY[:4]), ('--points', 'found 0')),
    (('query', 'tile.tif', *QUERY, '--spacing-px', '4'), ('--at', 'found 2')),
    (('query', 'tile.tif', *QUERY[:4], '--at', '9,x'), ('--at', "'9,x'", 'LON,LAT')),
    (('query', 'tile.tif', *QUERY[:4], '--at', '47.995,9.005'), ('outside', 'swapped')),
    (('query', 'tile.tif', *QUERY[:4], '--at', '200,95'), ('[-180, 180]', '200')),
    (('query', 'tile.tif', *QUERY, '--overlap', '1.5'), ('overlap', '1.5')),
    (('query', 'tile.tif', *QUERY, '--dtype', 'int4'), ('--dtype', "'int4'")),
    (('query', 'tile.tif', *QUERY[:4], '--points', 'places.csv', '--columns', 'lon=x'), ("'x'",)),
    (('query', 'tile.tif', *QUERY[:4], '--spacing-px', '0'), ('spacing', '0')),
    (('map', 'small.tif', *MAP), ('16 x 16', '10 x 12')),
    (('map', 'turned.tif', *MAP), ('turned.tif', 'not north up')),
    (('map', 'tile.tif', *MAP[:2], '--out', 'new.png'), ('new.png', '.tif')),
    (('map', 'tile.tif', *MAP, '--what', 'colours'), ('colours', 'pca3')),
    (('map', 'tile.tif', *MAP, '--what', 'similarity'), ('similarity', 'photo', 'none')),
    (('map', 'tile.tif', *MAP, '--what', 'similarity', '--to-photo', 'cut.jpg'), ('cut.jpg',)),
    (('map', 'tile.tif', *MAP, '--what', 'similarity', '--to-vector', 'v.npy'), ('v.npy', '16')),
    (('map', 'tile.tif', *MAP, '--spacing-m', '-3'), ('spacing', '-3')),
    (('map', 'tile.tif', *MAP, '--window', '-1'), ('--window', '-1')),
    (('search', '--photo', 'photo.jpg', *SEARCH), ('--tile', '--gallery')),
    (
        ('search', '--photo', 'deep.png', '--tile', 'tile.tif', *SEARCH),
        ('deep.png', 'I;16', '8 bits'),
    ),
    (('search', '--photo', 'photo.jpg', '--tile', 'cut.tif', *SEARCH), ('cut.tif',)),
    (('search', '--photo', 'photo.jpg', '--gallery', 'places.csv', *SEARCH), ('places.csv',)),
    (('search', '--place=9,95', '--gallery', 'gallery.parquet', *SEARCH), ('95',)),
    (
        ('search', '--place=9,48', '--gallery', 'gallery.parquet', *SEARCH),
        ('small', '--allow-other'),
    ),
    (('search', '--photo', 'photo.jpg', '--tile', 'tile.tif', '--top', '0', *SEARCH), ('top',)),
    (('export', 'absent', 'new.npz'), ('absent', 'no such')),
    (('export', 'ckpt', 'new.txt'), ('new.txt', '.onnx')),
    (('doctor', 'tile.tif', '--sensor', 'landsat'), ("'landsat'", 'sentinel2_10')),
    (('doctor', 'tile.tif', '--checkpoint', 'absent'), ('absent', 'no such')),
]
# Its findings are what `gair doctor` was asked for, so they stand on stdout.
EXAMINED = [
    ('cut.tif', ('cut short',)),
    ('rgb.tif', ('3 bands without names',)),
    ('turned.tif', ('turned',)),
    ('cut.jpg', ('truncated',)),
    ('empty.csv', ('without any',)),
    ('latin.csv', ('UTF-8',)),
    ('uneven.csv', ('3 instead of 2',)),
    ('code.pth', ('never built',)),
    ('cut.safetensors', ('safetensors',)),
    ('notes', ('folder',)),
    ('absent.tif', ('no such file',)),
]


class Code:
    def __reduce__(self):
        return os.mkdir, ('sprung',)


@pytest.fixture(scope='module')
def world(tmp_path_factory, tiny_checkpoint, tile):
    """A folder of good files and of bad ones, by the names above."""
    folder = tmp_path_factory.mktemp('world')
    shutil.copytree(tiny_checkpoint, folder / 'ckpt')
    shutil.copy(tile, folder / 'tile.tif')
    _rasters(folder)
    _pictures(folder)
    _tables(folder)
    _weights(folder)
    (folder / 'notes').mkdir()
    (folder / 'notes/a.txt').write_text('a')
    (folder / 'notes.txt').write_text('This is no table, nor anything else.\n')
    return folder


def _rasters(folder):
    whole = (folder / 'tile.tif').read_bytes()
    (folder / 'cut.tif').write_bytes(whole[: len(whole) // 2])
    scenes.write_tile(folder / 'rgb.tif', scenes.pixels(3), names=(), step=9e-5)
    scenes.write_tile(folder / 'unplaced.tif', crs='')
    scenes.write_tile(folder / 'small.tif', scenes.pixels(height=10, width=12))
    scenes.write_tile(folder / 'turned.tif')
    with rasterio.open(folder / 'turned.tif', 'r+') as file:
        file.transform = rasterio.Affine(1e-4, 1e-5, 9, 1e-5, -1e-4, 48)


def _pictures(folder):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    photo = scenes.jpeg(Image.fromarray(noise))
    (folder / 'photo.jpg').write_bytes(photo)
    (folder / 'cut.jpg').write_bytes(photo[:1500])
    Image.fromarray(np.arange(4800, dtype=np.uint16).reshape(60, 80)).save(folder / 'deep.png')


def _tables(folder):
    (folder / 'places.csv').write_text('id,lon,lat\na,9.005,47.995\nb,9.006,47.994\n')
    (folder / 'empty.csv').write_text('lon,lat\n')
    (folder / 'twice.csv').write_text('lon,lat,lon\n9,48,9\n')
    (folder / 'uneven.csv').write_text('lon,lat\n9,48\n9,48,7\n')
    (folder / 'latin.csv').write_bytes('lon,lat,id\n9,48,Zürich\n'.encode('latin-1'))
    vectors = np.random.default_rng(0).normal(size=(3, search_scene.WIDTH)).astype(np.float32)
    search_scene.gallery(folder / 'gallery.parquet', {'sv': vectors, 'location': vectors})
    np.save(folder / 'v.npy', np.ones(5, np.float32))


def _weights(folder):
    save = pytest.importorskip('safetensors.numpy').save_file
    save({'a.weight': np.ones((2, 2), np.float32)}, folder / 'other.safetensors')
    whole = (folder / 'other.safetensors').read_bytes()
    (folder / 'cut.safetensors').write_bytes(whole[:-4])
    (folder / 'code.pth').write_bytes(pickle.dumps({'model': Code()}, protocol=2))


@pytest.fixture
def inside(world, monkeypatch):
    monkeypatch.chdir(world)
    monkeypatch.setattr('gair_jax.serve.compiled_cache.use', lambda: None)
    return world


def listing(folder):
    """Every file and folder, with its size and when it was last written."""
    paths = sorted(folder.rglob('*'))
    return [(p.relative_to(folder), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def name_of(command):
    return ' '.join(command)


def check_sentence(sentence, words):
    assert sentence.endswith('.\n') and sentence.count('\n') == 1, sentence
    assert 'Traceback' not in sentence
    for word in words:
        assert word in sentence, sentence


@pytest.mark.parametrize(('command', 'words'), REFUSED, ids=[name_of(c) for c, _ in REFUSED])
def test_one_sentence_and_nothing_left(inside, capsys, command, words):
    before = listing(inside)
    assert cli.main(command) == 2
    assert listing(inside) == before
    sentence = capsys.readouterr().err
    assert sentence.startswith('gair: ')
    check_sentence(sentence, words)


@pytest.mark.parametrize(('file', 'words'), EXAMINED, ids=[file for file, _ in EXAMINED])
def test_the_doctor_says_what_is_unusable(inside, capsys, file, words):
    before = listing(inside)
    assert cli.main(['doctor', file]) == 2
    assert listing(inside) == before
    said = capsys.readouterr()
    assert not said.err
    assert said.out.startswith(f'{file}: unusable: ')
    check_sentence(said.out, words)


def test_the_same_commands_without_the_fault_are_accepted(inside, capsys):
    """Were these refused too, the table above would say nothing."""
    made = ('embed.parquet', 'query.parquet', 'map.tif')
    for command in (
        ('embed', 'places.csv', *EMBED[:3], made[0]),
        ('query', 'tile.tif', *QUERY[:3], made[1], PLACE),
        ('map', 'tile.tif', *MAP[:3], made[2]),
        ('doctor', 'places.csv'),
    ):
        assert cli.main(command) == 0, capsys.readouterr()
    for name in made:
        assert (inside / name).is_file()
        for path in inside.glob(f'{name}*'):
            path.unlink()
