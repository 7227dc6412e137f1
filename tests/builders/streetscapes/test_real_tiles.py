"""Sixteen real tiles as scenes of a catalogue: real pixels against the rule of the +1000.

Six of them carry it. They come without a classification, so all of each counts as land.
"""

import csv

import numpy as np
import pytest
import rasterio

from gair_jax.builders.streetscapes import scenes_source
from gair_jax.builders.streetscapes.layouts import Tile
from gair_jax.builders.streetscapes.scenes_source import BANDS
from tests.builders.streetscapes.test_scenes_fetch import built, entries
from tests.shared import shared
from tests.standins import catalogue, scene_files
from tests.standins.scene_files import Scene

TILES = 'data/sentinel2-tiles'
SNOW = 'patch_770287'
# Without a subtraction, or with one too many, by (baseline, flag, whether the pixels carry it).
CASES = {
    'old': ('03.00', 'no', False),
    'added': ('04.00', 'no', True),
    'lies': ('04.00', 'no', False),
    'hides': ('04.00', 'yes', True),
}


def real_tiles():
    """(index row, DN that carry the offset, DN without) of each tile, ten bands."""
    folder = shared(TILES)
    for row in csv.DictReader((folder / 'index.csv').read_text().splitlines()):
        with rasterio.open(folder / 'tiles' / row['file']) as raster:
            raw = raster.read([2, 3, 4, 5, 6, 7, 8, 9, 11, 12]).astype(np.int64)
        carries = row['add_offset_guess'] == '1000'
        with_it = raw if carries else np.where(raw > 0, raw + 1000, 0)
        without = np.where(raw > 0, np.maximum(raw - 1000, 1), 0) if carries else raw
        yield row, with_it, without


def scene_of(number, row, with_it, without, date, case):
    baseline, flag, carries = CASES[case]

    def held(one, band):
        if band == scenes_source.SCL:
            return np.full((128, 128), scene_files.VEGETATION, np.uint8)
        values = (with_it if carries else without)[BANDS.index(band)].astype(np.uint16)
        return values if band in scene_files.TEN_M else values[::2, ::2]

    epsg = int(row['crs'].removeprefix('EPSG:'))
    return Scene(
        date=date, left=float(row['left']), top=float(row['top']), side=256, epsg=epsg,
        mgrs=f'{epsg % 100:02d}{"N" if epsg < 32700 else "M"}A{chr(65 + number)}',
        baseline=baseline, flag=flag, carries=carries, pixels=held,
    )  # fmt: skip


def tile_of(row):
    corner = float(row['left']), float(row['top'])
    transform = (10.0, 0.0, corner[0], 0.0, -10.0, corner[1])
    return Tile(row['file'].removesuffix('.tif'), row['crs'], transform, 256, 256, '')


def right_tiles(tmp_path, cases):
    """For each case the names of the tiles whose file has the pixels of the source."""
    months, known = dict(enumerate(cases, 4)), list(real_tiles())
    scenes = [
        scene_of(number, *tile, f'2022-0{month}-10', case)
        for number, tile in enumerate(known)
        for month, case in months.items()
    ]
    with catalogue.serve(scenes, block=256) as served:
        built(served, tmp_path, [tile_of(row) for row, _, _ in known])
    found, truths = {case: set() for case in cases}, {}
    for row, _, without in known:
        halved = [
            band if name in scene_files.TEN_M else band[::2, ::2].repeat(2, 0).repeat(2, 1)
            for name, band in zip(BANDS, without, strict=True)
        ]
        truths[row['file'].removesuffix('.tif')] = np.stack(halved)
    kept = [entry for entry in entries(tmp_path).values() if entry.state == 'kept']
    assert len(kept) == 16 * len(cases)
    for entry in kept:
        with rasterio.open(tmp_path / entry.record['file']) as raster:
            same = np.array_equal(raster.read(), truths[entry.record['tile']])
        if same:
            found[months[int(entry.record['date'][5:7])]].add(entry.record['tile'])
    return found


@pytest.mark.slow
def test_real_pixels_come_out_the_same_whatever_is_said_of_them(tmp_path):
    """Beside a date that cannot carry it, all 16 of each kind are put on one scale."""
    found = right_tiles(tmp_path, ('old', 'added', 'lies', 'hides'))
    assert {case: len(names) for case, names in found.items()} == dict.fromkeys(CASES, 16)


@pytest.mark.slow
@pytest.mark.parametrize(('case', 'wrong'), [('added', set()), ('lies', {SNOW}), ('hides', 'all')])
def test_alone_a_real_scene_is_judged_by_its_dark_pixels(tmp_path, case, wrong):
    """What is there is removed from all 16. A flag that says so of a scene without it is seen
    through but for snow, which has no dark pixel; one that hides it is believed by all."""
    right = right_tiles(tmp_path, (case,))[case]
    every = {row['file'].removesuffix('.tif') for row, _, _ in real_tiles()}
    assert every - right == (every if wrong == 'all' else wrong)


def test_five_per_cent_lie_between_what_real_tiles_show():
    """Share of a visible band at 1000 or less, all taken as land: with the offset, and without."""

    def share(values):
        return (values[:3] <= 1000).mean(axis=(1, 2)).max()

    found = {row['file'][:-4]: (share(a), share(b)) for row, a, b in real_tiles()}
    assert len(found) == 16
    there, gone = (np.array([pair[i] for pair in found.values()]) for i in (0, 1))
    assert there.max() < 0.0025
    assert found[SNOW][1] == 0.0 and np.sort(gone)[1] > 0.35
