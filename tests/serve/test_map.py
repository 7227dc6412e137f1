"""`gair map` from file to file."""

import json
import shutil

import numpy as np
import pytest
import rasterio

import gair_jax
from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.serve import raster_output, scene_cells, scene_map
from gair_jax.serve.cells import Spacing
from gair_jax.serve.localize import localize
from gair_jax.serve.scene_cells import Sampling
from gair_jax.serve.windows import window_grid
from tests.serve import map_scenes

SMALL = 40_000  # bytes: chunks of a few cells
SPACING = Sampling(spacing=Spacing(4))
HOLE = (20, 16, 12, 12)


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    return map_scenes.write(tmp_path_factory.mktemp('scene') / 'scene.tif', hole=HOLE)


def read(path):
    """Bands last, as floats that stored values stand for."""
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1) * np.array(file.scales)


def direct(tiny, scene):
    """Embeddings of the cells at spacing 4, without chunks or files: float32 [15, 13, d]."""
    y, x = (np.arange(15) + 0.5) * 4, (np.arange(13) + 0.5) * 4
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    with tiny.raster(scene) as raster:
        found = localize(tiny, raster, window_grid((60, 52), (16, 16), 0.25), points)
    return found.reshape(15, 13, -1)


def without_data():
    """Cells whose centres, at 2, 6, 10, ..., are in the hole."""
    at = 4 * np.arange(15) + 2
    rows = (at >= HOLE[0]) & (at < HOLE[0] + HOLE[2])
    cols = (at >= HOLE[1]) & (at < HOLE[1] + HOLE[3])
    return rows[:, None] & cols[None, :13]


def test_it_is_a_cog_where_the_scene_is(tiny, scene, tmp_path):
    scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING)
    with rasterio.open(tmp_path / 'o.tif') as made, rasterio.open(scene) as source:
        assert made.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
        assert made.tags(1, ns='IMAGE_STRUCTURE')['NBITS'] == '16'
        assert made.crs == source.crs and made.bounds == source.bounds
        assert (made.res, made.shape, made.count) == ((40, 40), (15, 13), 16)
        assert made.descriptions[:2] == ('embedding 0', 'embedding 1')
        assert np.isnan(made.nodata)
    assert [path.name for path in tmp_path.iterdir()] == ['o.tif']


def test_cells_are_queries_at_their_centres(tiny, scene, tmp_path):
    scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING, memory=SMALL)
    found, empty = read(tmp_path / 'o.tif'), without_data()
    np.testing.assert_array_equal(np.isnan(found).all(axis=-1), empty)
    expected = direct(tiny, scene).astype(np.float16)
    np.testing.assert_allclose(found[~empty], expected[~empty], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize('memory', [SMALL, 4 * SMALL])
def test_chunks_change_nothing(tiny, scene, tmp_path, memory):
    scene_map.write(tiny, scene, tmp_path / 'a.tif', SPACING, dtype='float32')
    with tiny.raster(scene) as raster:
        assert len(scene_cells.plan(tiny, raster, SPACING, memory).chunks) > 3
    scene_map.write(tiny, scene, tmp_path / 'b.tif', SPACING, dtype='float32', memory=memory)
    np.testing.assert_allclose(read(tmp_path / 'a.tif'), read(tmp_path / 'b.tif'), atol=1e-6)


def test_a_stopped_run_goes_on(tiny, scene, tmp_path, monkeypatch):
    """The second run computes the chunks that the first did not, and the map is the same."""
    scene_map.write(tiny, scene, tmp_path / 'a.tif', SPACING, dtype='int8', memory=SMALL)
    computed, compute = [], scene_cells._chunk

    def counted(made, layer, chunk, *rest):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(chunk)
        return compute(made, layer, chunk, *rest)

    monkeypatch.setattr(scene_cells, '_chunk', counted)
    with pytest.raises(KeyboardInterrupt):
        scene_map.write(tiny, scene, tmp_path / 'b.tif', SPACING, dtype='int8', memory=SMALL)
    assert not (tmp_path / 'b.tif').exists()
    again = []
    monkeypatch.setattr(scene_cells, '_chunk', lambda *a: again.append(a[2]) or compute(*a))
    scene_map.write(tiny, scene, tmp_path / 'b.tif', SPACING, dtype='int8', memory=SMALL)
    assert again and not set(again) & set(computed)
    with rasterio.open(tmp_path / 'a.tif') as a, rasterio.open(tmp_path / 'b.tif') as b:
        assert a.scales == b.scales
        assert np.abs(a.read().astype(int) - b.read().astype(int)).max() <= 1
    assert not (tmp_path / 'b.tif.part').exists()


def test_other_settings_start_over_and_say_so(tiny, scene, tmp_path, capsys):
    part = tmp_path / 'o.tif.part'
    part.mkdir()
    (part / 'fingerprint.json').write_text('{"another": 1}')
    np.savez(part / 'chunk-000000.npz', cells=np.full((15, 13, 16), 7, np.float16), clipped=0)
    scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING)
    assert 'starting over' in capsys.readouterr().out
    assert not (read(tmp_path / 'o.tif') == 7).any()


def test_int8_keeps_its_scales(tiny, scene, tmp_path):
    written = scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING, dtype='int8')
    with rasterio.open(tmp_path / 'o.tif') as file:
        raw, scales = np.moveaxis(file.read(), 0, -1), np.array(file.scales)
        tags = json.loads(file.tags()['gair_jax'])
        assert file.nodata == -128
    assert tags['scales'] == scales.tolist() and tags['clipped'] == written.clipped
    np.testing.assert_array_equal((raw == -128).all(axis=-1), without_data())
    error = np.abs(raw * scales - direct(tiny, scene))[~without_data()]
    assert (error <= 0.501 * scales).mean() > 0.99  # all but what was cut


def test_similarity_to_a_place(tiny, scene, tmp_path):
    target = scene_map.to_place(tiny, (9.0, 47.8))
    written = scene_map.write(
        tiny, scene, tmp_path / 'o.tif', SPACING, what='similarity', target=target
    )
    x, vector = direct(tiny, scene), tiny.encode_location([[9.0, 47.8]])[0]
    expected = x @ vector / np.linalg.norm(x, axis=-1) / np.linalg.norm(vector)
    expected[without_data()] = np.nan
    np.testing.assert_allclose(read(tmp_path / 'o.tif')[..., 0], expected, atol=2e-6)
    assert written.preview == str(tmp_path / 'o.png') and (tmp_path / 'o.png').exists()


def test_another_scene_is_drawn_in_the_same_colours(tiny, scene, tmp_path):
    scene_map.write(tiny, scene, tmp_path / 'a.tif', SPACING, what='pca3')
    kept, empty = read(tmp_path / 'a.tif'), without_data()
    np.testing.assert_array_equal((kept == 0).all(axis=-1), empty)
    assert kept[~empty].min() == 1 and kept.max() == 255
    other = map_scenes.write(tmp_path / 'other.tif', map_scenes.smooth(40, 40, seed=9))
    basis = str(tmp_path / 'a.tif')
    scene_map.write(tiny, other, tmp_path / 'b.tif', SPACING, what='pca3', basis=basis)
    scene_map.write(tiny, scene, tmp_path / 'c.tif', SPACING, what='pca3', basis=basis)
    np.testing.assert_array_equal(read(tmp_path / 'c.tif'), kept)
    bases = [raster_output.read_provenance(tmp_path / name)['basis'] for name in ('a.tif', 'b.tif')]
    assert bases[0] == bases[1]


def test_a_basis_of_other_embeddings_is_refused(tiny, scene, tmp_path):
    scene_map.write(tiny, scene, tmp_path / 'a.tif', SPACING, what='pca3')
    unit = Sampling(spacing=Spacing(4), normalize=True)
    with pytest.raises(InputError, match='of other embeddings'):
        scene_map.write(
            tiny, scene, tmp_path / 'b.tif', unit, what='pca3', basis=str(tmp_path / 'a.tif')
        )
    with pytest.raises(InputError, match='expected a map that'):
        scene_map.write(tiny, scene, tmp_path / 'b.tif', SPACING, what='pca3', basis=str(scene))


def test_a_scene_without_any_data(tiny, tmp_path):
    empty = map_scenes.write(tmp_path / 'empty.tif', hole=(0, 0, 60, 52))
    scene_map.write(tiny, empty, tmp_path / 'o.tif', SPACING)
    assert np.isnan(read(tmp_path / 'o.tif')).all()
    with pytest.raises(InputError, match='empty.tif: expected cells with data'):
        scene_map.write(tiny, empty, tmp_path / 'p.tif', SPACING, what='pca3')
    assert not list(tmp_path.glob('p.tif*'))


def test_normalized_cells_have_length_one(tiny, scene, tmp_path):
    unit = Sampling(spacing=Spacing(4), normalize=True)
    scene_map.write(tiny, scene, tmp_path / 'o.tif', unit, dtype='float32')
    length = np.linalg.norm(read(tmp_path / 'o.tif'), axis=-1)[~without_data()]
    np.testing.assert_allclose(length, 1, atol=1e-6)


def largest_step(tiny, scene, spacing, overlap):
    """Between neighbouring points of a row across the scene, `spacing` pixels apart."""
    x = np.arange(spacing / 2, 52, spacing)
    with tiny.raster(scene) as raster:
        grid = window_grid(raster.shape, (16, 16), overlap)
        found = localize(tiny, raster, grid, np.stack([x, np.full_like(x, 7.3)], axis=-1))
    return np.linalg.norm(np.diff(found, axis=0), axis=1).max()


@pytest.mark.slow
def test_no_seam_shows(tiny, tmp_path):
    """Steps shrink with the spacing, across the borders of windows too; unblended, they stay.

    How much windows disagree is the model's matter (this one's was drawn); that the embedding has
    no jump is ours.
    """
    scene = map_scenes.write(tmp_path / 's.tif')
    blended = [largest_step(tiny, scene, spacing, 0.25) for spacing in (0.5, 0.25, 0.125)]
    apart = [largest_step(tiny, scene, spacing, 0.0) for spacing in (0.5, 0.125)]
    assert blended[1] < 0.6 * blended[0] and blended[2] < 0.6 * blended[1]
    assert apart[1] > 0.8 * apart[0] > 10 * blended[2]


def test_whole_tile_models_take_windows_of_a_tile(tiny_release, tmp_path, capsys):
    """A scene of 600 x 520 m is a tile itself; at 100 m a pixel it is many."""
    near = map_scenes.write(tmp_path / 'near.tif')
    far = map_scenes.write(tmp_path / 'far.tif', step=100.0)
    sizes = []
    for path in (near, far):
        with tiny_release.raster(path) as raster:
            sizes.append(scene_cells.plan(tiny_release, raster, SPACING).grid.size)
    assert sizes == [(60, 52), (19, 19)]
    assert 'windows are 19 x 19 pixels' in capsys.readouterr().out


def test_the_command_warns_of_an_offset_and_takes_it(tiny_checkpoint, tmp_path, capsys):
    values = map_scenes.smooth(40, 40) // 2
    map_scenes.write(tmp_path / 'plain.tif', values)
    map_scenes.write(tmp_path / 'newer.tif', values + 1000)
    command = ['--checkpoint', str(tiny_checkpoint), '--spacing-m', '40', '--dtype', 'float32']

    def run(scene, out, *more):
        assert cli.main(['map', str(tmp_path / scene), *command, '--out', str(out), *more]) == 0
        return capsys.readouterr()

    said = run('plain.tif', tmp_path / 'a.tif')
    assert '10 x 10 cells, 16 float32 bands' in said.out and not said.err
    assert '--offset 1000' in run('newer.tif', tmp_path / 'b.tif').err
    assert not run('newer.tif', tmp_path / 'c.tif', '--offset', '1000').err
    np.testing.assert_allclose(read(tmp_path / 'a.tif'), read(tmp_path / 'c.tif'), atol=1e-6)
    assert np.abs(read(tmp_path / 'a.tif') - read(tmp_path / 'b.tif')).max() > 1e-3


def test_provenance_tells_checkpoint_and_settings(tiny, scene, tmp_path):
    scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING)
    made_by = raster_output.read_provenance(tmp_path / 'o.tif')
    assert made_by['checkpoint']['sha256'] == tiny.origin.sha256
    assert made_by['version'] == gair_jax.__version__
    assert made_by['sampling']['spacing'] == [4, 'px'] and made_by['windows'] == [16, 16]


def test_the_scene_is_never_written_over(tiny, scene, tmp_path):
    copy = shutil.copy(scene, tmp_path / 'copy.tif')
    before = copy.read_bytes()
    with pytest.raises(InputError, match='is the scene itself'):
        scene_map.write(tiny, copy, copy, SPACING)
    assert copy.read_bytes() == before


def test_two_runs_of_one_output_do_not_mix(tiny, scene, tmp_path):
    from gair_jax.serve.parts import parts

    with pytest.raises(InputError, match='another run'):
        with parts(tmp_path / 'o.tif', {}):
            scene_map.write(tiny, scene, tmp_path / 'o.tif', SPACING)
