"""The made samples of Global Streetscapes and of the indicators, and the words for bad ones."""

import csv

import numpy as np
import pytest
from PIL import Image

from gair_jax.builders import catalogue, global_streetscapes, indicators
from gair_jax.config import InputError
from tests.builders import made, scenes

CITIES = {'1': 5, '2': 7}
PERCEPTION = ('Beautiful', 'Boring', 'Depressing', 'Lively', 'Safe', 'Wealthy')


def write_photo(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(scenes.jpeg(Image.new('RGB', (64, 48), (20 * number, 90, 10))))


def write_common(root):
    """Tables of places and cities of twelve photos, and the photos; two cities of one name."""
    places, cities = [], []
    for number in range(sum(CITIES.values())):
        key = {'uuid': f'u{number:02d}', 'source': 'Mapillary', 'orig_id': str(10**15 + number)}
        city = '1' if number < CITIES['1'] else '2'
        cities.append({**key, 'city': 'Springfield', 'city_id': city})
        place = {'lat': 48 + number / 7, 'lon': 9.5, 'heading': -90.0}
        date = '2024-07-09 03:24:18.913000+02:00'
        places.append({**key, **place, 'datetime_local': date, 'sequence_id': f's{number // 3}'})
        write_photo(root / f'img/{number % 2}/u{number:02d}.jpeg', number)
    (root / 'data').mkdir()
    scenes.write_table(root / 'data/metadata_common_attributes.csv', places)
    scenes.write_table(root / 'data/simplemaps.csv', cities)
    return [{name: row[name] for name in ('uuid', 'source', 'orig_id')} for row in places]


def write_perception(root):
    keys = write_common(root)
    rows = [
        {**key, **{name: (i + j) % 11 for j, name in enumerate(PERCEPTION)}}
        for i, key in enumerate(keys)
    ]
    scenes.write_table(root / 'data/perception.csv', rows)


def write_manual(root):
    """Ten train and two test photos; class `side` is absent in test."""
    keys = write_common(root)
    for split, part in (('train', keys[:10]), ('test', keys[10:])):
        platform = ('Fields', 'tunnel', 'walking surface', '')
        view = ('side', 'front / back') if split == 'train' else ('front/back',)
        for name, labels in (('platform', platform), ('view_direction', view)):
            (root / 'manual_labels' / split).mkdir(parents=True, exist_ok=True)
            rows = [
                {'uuid': key['uuid'], name: labels[i % len(labels)]} for i, key in enumerate(part)
            ]
            scenes.write_table(root / f'manual_labels/{split}/{name}.csv', rows)


def streetscapes(root, labels, **options):
    return global_streetscapes.build(
        root, root / 'img', labels, data_dir=root / 'prepared', **options
    )


def read(root, name):
    source = made.opened(root / 'prepared', name)
    assert catalogue.check(root / 'prepared', name).findings == []
    return source, {p.id: (split, p) for split in source.splits for p in source.photos(split)}


def counts(found, city):
    splits = [split for split, photo in found.values() if photo.group == city]
    return [splits.count(split) for split in ('train', 'val', 'test')]


def test_perception_is_split_in_each_city_and_kept_from_0_to_10(tmp_path):
    write_perception(tmp_path)
    report = streetscapes(tmp_path, 'perception')
    assert report.failed == 0 and report.tiles == 0
    source, found = read(tmp_path, 'global_streetscapes')
    # floor(0.6 n + 0.5), floor(0.2 n + 0.5), rest, of n = 5 and 7.
    assert counts(found, '1') == [3, 1, 1] and counts(found, '2') == [4, 1, 2]
    for name, (_, photo) in found.items():
        number = int(name[1:])
        assert photo.labels['perception'].tolist() == [(number + j) % 11 for j in range(6)]
        assert tuple(photo.lonlat) == (9.5, 48 + number / 7) and photo.heading == 270
        assert photo.date.startswith('2024-07-09') and photo.photo[:2] == b'\xff\xd8'
    assert source.metadata['tasks']['perception']['encoder'] == 'sv'


def test_a_sequence_can_be_kept_together(tmp_path):
    write_perception(tmp_path)
    streetscapes(tmp_path, 'perception', group_by_sequence=True)
    _, found = read(tmp_path, 'global_streetscapes')
    homes = {}
    for name, (split, photo) in found.items():
        homes.setdefault((photo.group, int(name[1:]) // 3), set()).add(split)
    assert all(len(splits) == 1 for splits in homes.values()) and len(homes) == 5


def test_manual_labels_have_fixed_classes_and_the_official_test(tmp_path):
    write_manual(tmp_path)
    streetscapes(tmp_path, 'manual')
    source, found = read(tmp_path, 'global_streetscapes')
    tasks = source.metadata['tasks']
    assert len(tasks['platform']['classes']) == 6
    assert tasks['view_direction']['classes'] == ['front/back', 'side']
    assert {name for name, (split, _) in found.items() if split == 'test'} == {'u10', 'u11'}
    # A quarter of 5 and 5 train photos of the cities, rounded: one each.
    assert [source.splits[s] for s in ('train', 'val', 'test')] == [8, 2, 2]
    platform = [int(found[f'u{n:02d}'][1].labels['platform']) for n in range(4)]
    assert platform == [4, 5, 0, -1]
    views = [int(found[f'u{n:02d}'][1].labels['view_direction']) for n in range(3)]
    assert views == [1, 0, 1]


def change(path, column, value, row=-1):
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    scenes.write_table(path, rows)


def drop_column(path, column):
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    scenes.write_table(path, [{k: v for k, v in row.items() if k != column} for row in rows])


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda r: (r / 'data/perception.csv').unlink(), 'perception.csv: no such table'),
        (lambda r: (r / 'data/simplemaps.csv').unlink(), 'simplemaps.csv: no such table'),
        (lambda r: drop_column(r / 'data/perception.csv', 'Safe'), "column 'Safe' is missing"),
        (lambda r: change(r / 'data/perception.csv', 'Safe', '11'), 'from 0 to 10, found 11'),
        (lambda r: change(r / 'data/perception.csv', 'Safe', ''), 'from 0 to 10, found nan'),
        (lambda r: change(r / 'data/perception.csv', 'uuid', 'u00'), 'found u00 twice'),
        (lambda r: change(r / 'data/perception.csv', 'Safe', 'x'), 'cannot be read as a table'),
        (lambda r: write_photo(r / 'img/u00.png', 1), 'expected one photo of u00'),
        (
            lambda r: [path.unlink() for path in (r / 'img/0').iterdir()],
            '6 of 12 rows cannot be used.*photo missing: u00',
        ),
    ],
)
def test_a_damaged_source_is_named(tmp_path, spoil, message):
    write_perception(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        streetscapes(tmp_path, 'perception')
    assert not list((tmp_path / 'prepared').rglob('*.array_record*'))


def test_an_unknown_label_is_refused(tmp_path):
    write_manual(tmp_path)
    change(tmp_path / 'manual_labels/test/platform.csv', 'platform', 'roof')
    with pytest.raises(InputError, match="expected one of walking surface, .*found 'roof'"):
        streetscapes(tmp_path, 'manual')


def test_missing_and_damaged_photos_are_listed_and_the_build_goes_on(tmp_path):
    write_perception(tmp_path)
    (tmp_path / 'img/0/u00.jpeg').unlink()
    (tmp_path / 'img/1/u01.jpeg').write_bytes(b'no photo')
    report = streetscapes(tmp_path, 'perception')
    assert (report.rows, report.failed) == (12, 2)
    lines = (tmp_path / 'prepared/global_streetscapes/default_report.csv').read_text()
    assert 'photo missing: u00' in lines and 'u01.jpeg is no JPEG or PNG' in lines


def write_indicators(root):
    """Ten photos of one city in three block groups; one income is missing."""
    rows = []
    for number in range(10):
        write_photo(root / f'p{number}.jpg', number)
        group = f'6037101110{number % 3}'  # as a table of numbers writes 06037101110x
        rows.append(
            {'uuid': f'u{number}', 'path': f'p{number}.jpg', 'city': 'la', 'GEOID_cbg': group}
        )
    scenes.write_table(root / 'images.csv', rows)
    values = [
        {'GEOID_cbg': f'06037101110{n}', 'logincome': ('', 2.0, 4.0)[n], 'sky': n, 'other': 7}
        for n in range(3)
    ]
    scenes.write_table(root / 'allparameters.csv', values)


def test_indicators_keep_nan_and_statistics_of_train(tmp_path):
    write_indicators(tmp_path)
    indicators.build(tmp_path, data_dir=tmp_path / 'prepared')
    source, found = read(tmp_path, 'indicators')
    assert list(source.metadata['tasks']) == ['logincome', 'sky']
    assert counts(found, 'la') == [6, 2, 2]
    for name, (_, photo) in found.items():
        expected = (np.nan, 2.0, 4.0)[int(name[1:]) % 3]
        np.testing.assert_equal(float(photo.labels['logincome']), expected)
    train = [float(p.labels['logincome']) for split, p in found.values() if split == 'train']
    known = np.array(train)[np.isfinite(train)]
    noted = source.metadata['train_statistics']['logincome']
    assert noted['count'] == len(known) < 6
    np.testing.assert_allclose([noted['mean'], noted['std']], [known.mean(), known.std()])


@pytest.mark.parametrize(
    ('spoil', 'columns', 'message'),
    [
        (lambda r: None, ('crime',), "column 'crime' is missing; found GEOID_cbg"),
        (lambda r: drop_column(r / 'images.csv', 'city'), (), "column 'city' is missing"),
        (lambda r: (r / 'images.csv').unlink(), (), 'images.csv: no such table'),
        (lambda r: change(r / 'images.csv', 'uuid', 'u0'), (), 'found u0 twice'),
        (lambda r: change(r / 'allparameters.csv', 'sky', 'inf'), (), 'finite numbers or empty'),
        (lambda r: change(r / 'allparameters.csv', 'GEOID_cbg', '60371011100'), (), 'twice'),
    ],
)
def test_indicators_that_cannot_be_used_are_named(tmp_path, spoil, columns, message):
    write_indicators(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        indicators.build(tmp_path, columns=columns, data_dir=tmp_path / 'prepared')


def test_a_path_out_of_the_root_is_a_failed_row(tmp_path):
    write_indicators(tmp_path)
    change(tmp_path / 'images.csv', 'path', '../p9.jpg')
    indicators.build(tmp_path, data_dir=tmp_path / 'prepared')
    lines = (tmp_path / 'prepared/indicators/default_report.csv').read_text()
    assert 'file outside the root: ../p9.jpg' in lines
