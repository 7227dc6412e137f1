"""The real tiles, photos and tables that lie beside this checkout, with what is known of them."""

import csv

import numpy as np
import pytest
import rasterio

from gair_jax.sensors import CONTRACTS
from gair_jax.serve import doctor
from gair_jax.serve.doctor.rasters import looks_offset
from tests.serve.doctor.made import fine, only
from tests.shared import shared

TABLES = {  # in how many rows files were found
    'gair_examples/examples.csv': 3,
    'geotagged-street-photos/index.csv': 32,
    'global-streetscapes-sample/images.csv': 25,
    'sentinel2-tiles/index.csv': 16,
    's2-eotdl-sample/index.csv': 9,
}
PLACES = (
    'eurosat-rgb-geo/index.csv', 'habitats-europe/habitats.csv', 'pastis-sample/index.csv',
    'species-observations/observations.csv', 'bigearthnet-v2-sample/index.csv',
    'global-streetscapes-sample/tables/02_metadata_common_attributes.csv',
)  # fmt: skip


def rows(relative):
    with shared(f'data/{relative}').open(newline='') as file:
        return list(csv.DictReader(file))


def test_the_offset_of_all_sixteen_tiles():
    """index.csv says which carry it, by the same rule over all bands; ten must be enough."""
    ten = CONTRACTS['sentinel2_10'].select(CONTRACTS['sentinel2_12'].bands)
    for row in rows('sentinel2-tiles/index.csv'):
        path = shared('data/sentinel2-tiles/tiles') / row['file']
        with rasterio.open(path) as source:
            bands = np.moveaxis(source.read(), 0, -1)
        carried = row['add_offset_guess'] == '1000'
        assert looks_offset(bands) == carried == looks_offset(bands[..., ten]), path
        if carried:
            only(path, 'suspicious', '--offset 1000')
        else:
            assert fine(path)


def test_tiles_with_nothing_against_them():
    for path in shared('data/gair_examples').glob('*.tif'):
        assert fine(path)
    for path in shared('data/s2-eotdl-sample').glob('*.tif*'):
        assert fine(path)
    assert fine(shared('data/sen1floods11-sample/Spain_7370579_S2Hand.tif'))


def test_rasters_of_other_sensors():
    for name, words in (('LabelHand', '1 bands without names'), ('S1Hand', 'VV, VH')):
        only(shared(f'data/sen1floods11-sample/Spain_7370579_{name}.tif'), 'unusable', words)


def test_eurosat_originals():
    paths = list(shared('data/s2-eotdl-sample/eurosat-ms').glob('*.tif'))
    assert len(paths) == 6
    for path in paths:
        only(path, 'suspicious', '--band-order eurosat')


def test_photos():
    """Published with whether each is a panorama; none of the others has anything against it."""
    folder = shared('data/global-streetscapes-sample')
    seen = [row for row in rows('global-streetscapes-sample/images.csv') if row['file']][::3]
    assert {row['pano_status'] for row in seen} == {'True', 'False'}
    for row in seen:
        if row['pano_status'] == 'True':
            only(folder / row['file'], 'suspicious', 'panorama')
        else:
            assert fine(folder / row['file'])
    for path in shared('data/gair_examples').glob('*.jpg'):
        assert fine(path)


def test_photos_with_a_place():
    folder = shared('data/geotagged-street-photos')
    for row in rows('geotagged-street-photos/index.csv')[:6]:
        (found,) = doctor.examine(folder / row['file'])
        assert found.level == 'fine'
        assert f'{float(row["lon"]):.5f}' in found.text


@pytest.mark.parametrize('table', TABLES)
def test_tables_of_files(table):
    (found,) = doctor.examine(shared(f'data/{table}'))
    assert found.level == 'fine', found
    assert f'{TABLES[table]} with a' in found.text


@pytest.mark.parametrize('table', PLACES)
def test_tables_of_places(table):
    assert fine(shared(f'data/{table}'))
