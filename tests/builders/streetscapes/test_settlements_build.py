"""From a raster to records that are trained on, over a stand-in catalogue and without any photo."""

import numpy as np
import pandas as pd
import pyproj
import pytest

from gair_jax import cli, config_files
from gair_jax.builders.streetscapes import (
    forecast,
    pack,
    pack_chunks,
    pair,
    photos_fetch,
    plan,
    plan_files,
    settlements,
)
from gair_jax.builders.streetscapes.settings import PlacesConfig, StreetscapesConfig
from gair_jax.config import DataConfig
from gair_jax.input import store
from gair_jax.input.pipeline import Pipeline
from tests.builders.streetscapes import settlement_rasters as rasters
from tests.builders.streetscapes.test_pack import truth
from tests.standins import catalogue

PARIS = (2.3522, 48.8566)
# Two scenes of a winter, of which the first is under cloud over all tiles, and one of a spring.
WINTER, SPRING = ('2022-12-20', '2023-02-03'), '2023-04-10'


def village(path):
    """Two urban and two rural cells, each a kilometre of water from the others."""
    codes = np.full((3, 3), 10, np.int16)
    codes[0, 0], codes[0, 2], codes[2, 0], codes[2, 2] = 30, 21, 11, 13
    left, top = rasters.corner(*PARIS)
    return rasters.write(path, codes, left - 1000, top + 1000)


def scenes():
    cloudy = {'clouded': (-1e9, 1e9)}
    return [
        catalogue.scene_around(*PARIS, date, side=768, mgrs='31UDQ', **fields)
        for date, fields in ((WINTER[0], cloudy), (WINTER[1], {}), (SPRING, {}))
    ]


def command(folder, url, *more):
    return [
        'data', 'build', 'streetscapes', '--config=configs/data/debias.py',
        f'--out={folder / "out"}', f'--data-dir={folder / "prepared"}', '--workers=1',
        f'--config.places.raster={folder / "smod.tif"}', '--config.places.count=4',
        '--config.places.blocks=1', '--config.scenes.source=stac', f'--config.scenes.url={url}',
        *more,
    ]  # fmt: skip


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """A folder with a whole build; what it said."""
    folder = tmp_path_factory.mktemp('debias')
    village(folder / 'smod.tif')
    with pytest.MonkeyPatch.context() as patch, catalogue.serve(scenes()) as served:
        patch.delenv('MAPILLARY_TOKEN', raising=False)
        assert cli.main(command(folder, served.url)) == 0
    return folder


def test_every_place_has_the_pixels_of_its_own_ground(built):
    data = DataConfig(dir=str(built / 'prepared'), name='streetscapes', variant='debias')
    found = store.Store(data)
    photos = list(found.photos('train'))
    planned = plan_files.photos(built / 'out').set_index('key')
    assert sorted(photo.id for photo in photos) == sorted(planned.index) and len(photos) == 4
    to_utm = pyproj.Transformer.from_crs('EPSG:4326', 'EPSG:32631', always_xy=True)
    for photo in photos:
        row = planned.loc[photo.id]
        np.testing.assert_array_equal(photo.lonlat, [row.lon, row.lat])
        assert photo.photo == b'' and np.isnan(photo.heading)
        assert (photo.date, photo.group, photo.licence) == ('', '', pair.COPERNICUS)
        x, y = to_utm.transform(row.lon, row.lat)
        # The clearest of the winter, and the spring's.
        assert [found.tiles[at].date for at in photo.acquisitions] == [WINTER[1], SPRING]
        for at in photo.acquisitions:
            chip = found.tiles[at]
            left, top, right, bottom = chip.bounds
            assert chip.bands.shape == (128, 128, 10) and right - left == top - bottom == 1280
            assert 480 <= x - left < 800 and 480 <= top - y < 800
            centres = np.arange(128) * 10 + 5
            east, north = np.meshgrid(left + centres, top - centres)
            wanted = truth(chip.band_names, east, north, chip.date)
            np.testing.assert_array_equal(chip.bands, wanted)


def test_they_are_trained_on(built):
    config = config_files.load('configs/pretrain/debias.py', [])
    config.data.dir, config.data.name = str(built / 'prepared'), 'streetscapes'
    config.data.variant, config.batch = 'debias', 4
    batch = Pipeline(config, 'train').batch(0)
    assert batch['rs'].shape == (4, 96, 96, 10) and 'sv' not in batch
    assert batch['has_rs'].all() and not batch['has_sv'].any()
    assert (np.abs(batch['xy']) <= 1).all() and np.isfinite(batch['rs']).all()


def test_no_service_is_asked_for_photos(built, capsys, monkeypatch):
    monkeypatch.delenv('MAPILLARY_TOKEN', raising=False)
    settings = StreetscapesConfig()
    rows = plan_files.photos(built / 'out')
    report = photos_fetch.fetch(settings, rows, built / 'out')
    assert not any(report.counts.values()) and not report.reasons
    assert pair.pair(settings, built / 'out') == {
        **{'places': 4, 'photos': 0, 'views': 0, 'scenes': 2 * rows['tile'].nunique()},
        'dropped': 0,
    }


def test_a_forecast_has_no_lines_of_photos(built):
    settings = config_files.load_kind(StreetscapesConfig, 'configs/data/debias.py', [])
    out = built / 'out'
    of = forecast.amounts(settings, plan_files.photos(out), plan_files.tiles(out))
    assert (of.photos, of.views) == (0, 0) and of.packed_pixels == 4 * 128**2
    lines = {row.item: row for row in forecast.forecast(settings, of)}
    assert not [name for name in lines if 'photo' in name]
    assert lines['scenes'].requests == 41 * 4 * of.tiles


def test_a_place_without_a_scene_is_dropped_with_a_reason(tmp_path):
    village(tmp_path / 'smod.tif')
    # The scenes end north of the two southern cells.
    north = [catalogue.scene_around(PARIS[0], PARIS[1] + 0.0255, WINTER[1], side=640, mgrs='31UDQ')]
    with catalogue.serve(north) as served:
        assert cli.main(command(tmp_path, served.url)) == 0
    dropped = pair.read(tmp_path / 'out', 'dropped')
    kept = pair.read(tmp_path / 'out', 'photos')
    assert set(dropped['reason']) == {pair.NO_SCENE}
    assert len(dropped) + len(kept) == 4 and len(kept) > 0
    assert not set(dropped['key']) & set(kept['key'])


def job_of(settings, out, rows):
    """As of a build whose pairs are these places."""
    (out / pair.FOLDER).mkdir(exist_ok=True)
    for name in ('photos', 'scenes'):
        rows[['tile', 'block']].to_parquet(out / pair.FOLDER / f'{name}.parquet')
    return pack.job_of(settings, out)


def test_blocks_go_whole_into_splits(tmp_path):
    """Of 16 blocks, no two splits have one; the note counts them, not tiles."""
    codes = np.full((400, 400), 12, np.int16)
    codes[::7, ::7] = 22
    path = rasters.write(tmp_path / 'r.tif', codes, *rasters.corner(10.0, 50.0))
    settings = StreetscapesConfig(places=PlacesConfig(raster=str(path), count=320, blocks=16))
    plan.plan(settings, tmp_path)
    rows, tiles = plan_files.photos(tmp_path), plan_files.tiles(tmp_path)
    job = job_of(settings, tmp_path, rows)
    assert job.fractions == settings.fractions
    rows = rows.assign(file='', date='', licence='', id=rows['key'])
    splits = [
        pack_chunks.photo_of(job, row, tiles[row['tile']], 'k')['split']
        for row in rows.to_dict('records')
    ]
    of = pd.Series(splits).groupby(rows['block']).nunique()
    assert len(of) == 16 and (of == 1).all() and len(set(splits)) == 3
    few = rows[rows['block'].isin(sorted(set(rows['block']))[:9])]
    assert job_of(settings, tmp_path, few).fractions == (0, 0, 0)
    assert len(set(few['tile'])) > 10
    assert settlements.wanted(321) == {'urban': 160, 'rural': 161}
