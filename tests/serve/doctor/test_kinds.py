"""What kind of file it is, told by its content; and the verb."""

import pickle
import re
import zipfile

import pytest

from gair_jax import cli
from gair_jax.serve.doctor import kinds
from tests.builders.scenes import write_tile
from tests.serve.doctor.made import only, pixels
from tests.serve.doctor.test_tables import PLACES, places

SAFETENSORS = (2).to_bytes(8, 'little') + b'{}'


@pytest.mark.parametrize(
    ('name', 'content', 'kind'),
    [
        ('a', b'II*\x00\x08\x00\x00\x00', 'tile'),
        ('a', b'MM\x00+\x00\x08\x00\x00', 'tile'),
        ('a.tif', b'\xff\xd8\xff\xe0', 'photo'),
        ('a', b'\x00\x00\x00\x18ftypheic', 'photo'),
        ('a', b'PAR1', 'table'),
        ('a', b'lon,lat\n9,48\n', 'table'),
        ('a', b'lon;lat\n9;48\n', 'table'),
        ('a.csv', b'\xff\xfel\x00', 'table'),
        ('a', b'Dear reader, this is prose.\nIt goes on.\n', 'no: a file of unknown content'),
        ('a', b'def get_config():\n', 'config'),
        ('a.py', b'x = 1\n', 'config'),
        ('a', SAFETENSORS, 'checkpoint'),
        ('a', pickle.dumps({}, protocol=2), 'checkpoint'),
        ('a.tif', b'what is this', 'tile'),
        ('a', b'', 'no: an empty file'),
        ('a.gz', b'\x1f\x8b\x08\x00', 'no: a gzip archive; unpack it first'),
    ],
)
def test_first_bytes_tell(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert kinds.recognise(tmp_path / name) == kind


def test_zips(tmp_path):
    for name, kind in (('model/data.pkl', 'checkpoint'), ('array.npy', 'no: a zip or npz archive')):
        with zipfile.ZipFile(tmp_path / 'a', 'w') as archive:
            archive.writestr(name, b'x' * 200)
        assert kinds.recognise(tmp_path / 'a').startswith(kind)
    cut = (tmp_path / 'a').read_bytes()[:100]
    (tmp_path / 'a.pth').write_bytes(cut)
    assert kinds.recognise(tmp_path / 'a.pth') == 'checkpoint'


def test_what_is_none_of_them(tmp_path):
    only(tmp_path / 'absent', 'unusable', 'no such file')
    only(tmp_path, 'unusable', 'a folder of 0 files')
    (tmp_path / 'notes.txt').write_text('hello')
    only(tmp_path / 'notes.txt', 'unusable', 'unknown content', 'GeoTIFF')


def test_the_exit_code_is_the_worst_finding(tmp_path, capsys):
    good = str(places(tmp_path))
    doubtful = str(places(tmp_path, [*PLACES, (0, 0)], 'doubtful.csv'))
    bad = str(tmp_path / 'absent.tif')
    for files, code in (([good], 0), ([doubtful, good], 1), ([bad, good, doubtful], 2)):
        assert cli.main(['doctor', *files]) == code
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(files)
        assert all(line.startswith(f) for line, f in zip(lines, files, strict=True))


def test_the_verb_holds_files_against_a_sensor(tmp_path, capsys):
    path = str(write_tile(tmp_path / 'tile.tif', pixels()[:10], names=(), step=9e-5))
    assert cli.main(['doctor', path]) == 0
    assert cli.main(['doctor', path, '--sensor', 'sentinel2_12']) == 2
    assert 'no B01 B09' in capsys.readouterr().out


def test_names_in_sentences_are_whole(tmp_path, capsys):
    """A name with spaces and dots stays one that can be copied."""
    folder = tmp_path / 'two words.v1'
    folder.mkdir()
    path = places(folder, [(0, 0), *PLACES])
    cli.main(['doctor', str(path)])
    out = capsys.readouterr().out
    assert out.startswith(f'{path}: suspicious: ') and len(re.findall(r'\n', out)) == 1
