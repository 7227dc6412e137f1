import json

import numpy as np
import pytest

from gair_jax.builders import catalogue, photos, prepared, staging
from gair_jax.config import InputError
from tests.builders import scenes, test_staging

MASK = np.array([[0, 1, 255], [0, 2, 0]], np.uint8)


def build(folder, tiles=3):
    rows = scenes.write_set(folder, tiles=tiles, photos=2)
    rows[0]['photo'] = ''
    rows[1]['tile'] = ''
    table = scenes.write_table(folder / 'table.csv', rows)
    photos.build(table, {}, folder, data_dir=folder)
    return next((folder / 'photos/default_acquisitions').rglob('*array_record*'))


def pack(folder, chunk):
    """A data set as given, which no importer would make."""
    (folder / 'photos').mkdir()
    stage = folder / 'photos/default.staging'
    staging._stage((stage.mkdir(), stage)[1], lambda index: chunk, 0)
    tasks = {'m': {'label': 'mask', 'kind': 'mask', 'classes': ['none', 'some']}}
    metadata = {'bands': ['B02', 'B03', 'B04', 'B05'], 'tasks': tasks, 'synthetic': False}
    labels = {'a': ((), np.float32), 'b': ((2, 3), np.int64)}
    content = prepared.Content(labels=labels, tile_labels=('mask',), metadata=metadata)
    prepared.pack(photos.Photos, 'default', folder, stage, content)


def test_a_set_that_is_not_there_is_told_with_its_origin(tmp_path):
    for name, message in (
        ('hls_burn_scars', 'no data set.*ibm-nasa-geospatial'),
        ('nabirds', 'cannot be built yet; origin: TorchSpatial'),
        ('other', 'unknown'),
    ):
        with pytest.raises(InputError, match=message):
            catalogue.check(tmp_path, name)


def test_another_split_than_noted_is_found(tmp_path):
    build(tmp_path)
    path = next((tmp_path / 'photos/default_photos').rglob('metadata.json'))
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, 'splits_sha256': '0'}))
    assert 'photos of the splits' in catalogue.check(tmp_path, 'photos').findings[0]


def test_a_sound_data_set_has_no_findings(tmp_path):
    build(tmp_path)
    check = catalogue.check(tmp_path, 'photos')
    assert check.findings == [] and check.splits == {'train': 6} and check.tiles == 3
    assert (check.with_photo, check.with_tile) == (5, 5)
    assert check.crs == {'EPSG:4326': 3} and check.sizes == {(20, 24, 10): 3}


def test_an_absent_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match='gair data build'):
        catalogue.check(tmp_path, 'photos')


def test_damaged_records_are_found(tmp_path):
    path = build(tmp_path)
    data = bytearray(path.read_bytes())
    filled = np.flatnonzero(np.frombuffer(data, np.uint8))  # ArrayRecord pads with zeros.
    middle = filled[len(filled) // 2]
    data[middle : middle + 100] = bytes(100)
    path.write_bytes(data)
    findings = catalogue.check(tmp_path, 'photos').findings
    assert findings and str(path) in findings[0]


def test_records_that_disagree_are_found(tmp_path):
    inside = {'tile_key': 't', 'lonlat': np.array([test_staging.LON + 0.5, 0.5]), 'photo': b''}
    chunk = staging.Chunk(
        photos=[
            {**test_staging.photo('p0'), **inside},
            {**test_staging.photo('p1'), **inside},
            {**test_staging.photo('p2'), **inside, 'lonlat': np.array([3.0, 4.0])},
            {**test_staging.photo('p3'), **inside, 'lonlat': np.array([0.0, 91.0])},
            {**test_staging.photo('p4'), **inside, 'photo': b'no photo'},
        ],
        acquisitions=[
            test_staging.acquisition(0),
            {**test_staging.acquisition(1), 'band_names': ('B02', 'B04', 'B03', 'B05')},
            {**test_staging.acquisition(3), 'labels': {'mask': MASK}},
            {**test_staging.acquisition(2), 'bands': np.full((2, 3, 4), np.nan, np.float32)},
        ],
        dropped=[],
    )
    pack(tmp_path, chunk)
    findings = '\n'.join(catalogue.check(tmp_path, 'photos').findings)
    assert findings.count('expected a class') == 1
    for text in (
        "tile a1: bands are ('B02', 'B04', 'B03', 'B05')",
        'tile a2: some pixels are not finite',
        'tile a3: mask: expected a class below 2 or 255, found 2.',
        'photo p2: lon 3.000000, lat 4.000000 is outside its tile',
        'photo p3: expected lon in',
        'photo p4: its image cannot be decoded',
        '1 tiles have photos in several splits',
    ):
        assert text in findings


def test_many_findings_are_summed_up(tmp_path):
    photos_ = [
        {**test_staging.photo(f'p{n}'), 'tile_key': '', 'split': 'train', 'photo': b'x'}
        for n in range(9)
    ]
    pack(tmp_path, staging.Chunk(photos_, [], []))
    findings = catalogue.check(tmp_path, 'photos').findings
    assert len(findings) == catalogue.MAX_EXAMPLES + 1
    assert findings[-1] == '... and 4 more findings on photos.'
