import numpy as np
import pyproj
import pytest
import rasterio

from gair_jax import sensors
from gair_jax.builders import catalogue, eurosat_ms
from gair_jax.builders.eurosat_rgb.builder import CLASSES
from gair_jax.config import InputError
from tests.builders import made, scenes
from tests.shared import shared

# Of the published files, band by band.
ORDER = 'B01 B02 B03 B04 B05 B06 B07 B08 B09 B10 B11 B12 B8A'.split()


def chip(number):
    """13 x 64 x 64 digital numbers; band i counts from 1000 i."""
    values = np.random.default_rng(number).integers(1, 1000, (13, 64, 64))
    return (values + 1000 * np.arange(13)[:, None, None]).astype(np.uint16)


def write_source(root, per_class=1):
    for label in CLASSES:
        for number in range(1, per_class + 1):
            made.write_tif(root / label / f'{label}_{number}.tif', chip(number))
    return root


def write_lists(root, lists):
    """Lists of names as they are published, with the suffix of the RGB chips."""
    for split, names in lists.items():
        (root / f'eurosat-{split}.txt').write_text(''.join(f'{name}.jpg\n' for name in names))
    return str(root / 'eurosat-')


def one_each(root):
    """A source of a chip a class, and lists that put eight, one and one in the splits."""
    write_source(root / 'tif')
    names = [f'{label}_1' for label in CLASSES]
    return write_lists(root, {'train': names[:8], 'val': names[8:9], 'test': names[9:]})


def build(root, **options):
    return eurosat_ms.build(root / 'tif', data_dir=root / 'prepared', **options)


def test_chips_keep_bands_by_name_class_and_place(tmp_path):
    report = build(tmp_path, splits=one_each(tmp_path))
    assert report.splits == {'train': 8, 'val': 1, 'test': 1} and report.failed == 0
    assert catalogue.check(tmp_path / 'prepared', 'eurosat_ms').findings == []
    source = made.opened(tmp_path / 'prepared', 'eurosat_ms')
    assert source.metadata['tasks']['land_cover']['classes'] == list(CLASSES)
    # pyproj, asked directly for the middle of the chip.
    to_degrees = pyproj.Transformer.from_crs(32632, 4326, always_xy=True)
    middle = to_degrees.transform(made.CORNER[0] + 320, made.CORNER[1] - 320)
    for split in source.splits:
        for photo, (tile,) in made.tiles_of(source, split).values():
            assert CLASSES[int(photo.labels['land_cover'])] == photo.id.partition('_')[0]
            np.testing.assert_allclose(photo.lonlat, middle, atol=1e-9)
            assert tile.band_names == sensors.TEN_BANDS
            for index, name in enumerate(sensors.TEN_BANDS):
                stored = chip(1)[ORDER.index(name)]
                np.testing.assert_array_equal(tile.bands[..., index], stored)


def test_without_lists_each_class_is_drawn_60_20_20_by_seed(tmp_path):
    write_source(tmp_path / 'tif', per_class=5)
    homes = []
    for seed in (0, 1):
        build(tmp_path, seed=seed, variant=f'seed{seed}')
        source = made.opened(tmp_path / 'prepared', 'eurosat_ms', f'seed{seed}')
        found = {split: [p.id for p in source.photos(split)] for split in source.splits}
        for label in CLASSES:
            counts = [sum(name.startswith(f'{label}_') for name in found[s]) for s in found]
            assert counts == [3, 1, 1]
        homes.append(found)
    assert homes[0] != homes[1]


def spoil(name):
    """A chip of each kind that no one can use."""
    whole = chip(1)
    return {
        'bands': lambda path: made.write_tif(path, whole[:12]),
        'size': lambda path: made.write_tif(path, whole[:, :32]),
        'place': lambda path: scenes.write_tile(path, whole, crs='', names=()),
        'file': made.truncate,
    }[name]


@pytest.mark.parametrize(
    ('fault', 'reason'),
    [
        ('bands', 'order eurosat is of 13 bands, found 12'),
        ('size', 'expected 64 x 64 pixels, found 32 x 64'),
        ('place', 'no georeference'),
        ('file', 'unreadable'),
    ],
)
def test_a_chip_that_cannot_be_used_is_listed_or_refused(tmp_path, fault, reason):
    splits = one_each(tmp_path)
    spoil(fault)(tmp_path / 'tif/Forest/Forest_1.tif')
    with pytest.raises(InputError, match='1 of 10 rows cannot be used'):
        build(tmp_path, splits=splits, max_failed=0)
    assert build(tmp_path, splits=splits).failed == 1
    lines = (tmp_path / 'prepared/eurosat_ms/default_report.csv').read_text()
    assert 'Forest_1' in lines and reason in lines


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda r: (r / 'tif/Lake').mkdir(), 'expected folders AnnualCrop, .*found Lake'),
        (lambda r: (r / 'tif/River/River_1.tif').unlink(), r'River: expected chips \*.tif, found'),
        (lambda r: (r / 'tif/River/Forest_1.tif').write_bytes(b''), 'Forest_1 lies in two classes'),
        (lambda r: (r / 'eurosat-val.txt').unlink(), 'eurosat-val.txt: expected a list of chips'),
        (lambda r: write_lists(r, {'val': ['Forest_1']}), 'Forest_1: expected it once, found it'),
        (lambda r: write_lists(r, {'val': ['X_1']}), 'River_1: .*found it in none of the lists'),
        (lambda r: write_lists(r, {'val': ['River_1', 'X_1']}), 'X_1: .*no chip of this name'),
    ],
)
def test_a_damaged_source_is_named(tmp_path, change, message):
    splits = one_each(tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=message):
        build(tmp_path, splits=splits)
    assert not (tmp_path / 'prepared').exists()


def test_a_real_original_is_read(tmp_path):
    """B8A of vegetation is above its red edge: the order of the bands holds on a real chip."""
    original = shared('data/s2-eotdl-sample/eurosat-ms/Forest_1.tif')
    splits = one_each(tmp_path)
    (tmp_path / 'tif/Forest/Forest_1.tif').write_bytes(original.read_bytes())
    build(tmp_path, splits=splits)
    source = made.opened(tmp_path / 'prepared', 'eurosat_ms')
    photo, (tile,) = made.tiles_of(source, 'train')['Forest_1']
    with rasterio.open(original) as opened:
        assert tile.crs == opened.crs.to_string()
    means = dict(zip(tile.band_names, tile.bands.mean(axis=(0, 1)), strict=True))
    assert means['B8A'] > means['B07'] > means['B05'] > means['B04']
    assert -180 < photo.lonlat[0] < 180
