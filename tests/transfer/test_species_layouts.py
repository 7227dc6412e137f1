"""LocBench's files, made by rule, read in the order of their predictions, and refused if odd."""

import json

import numpy as np
import pandas as pd
import pytest

from gair_jax.config import InputError
from gair_jax.transfer import photo_scores, species_layouts, species_rows, species_table
from tests.transfer import made_species
from tests.transfer.made_species import CLASSES, LAYOUTS


@pytest.mark.parametrize('layout', LAYOUTS)
def test_rows_stand_in_the_order_of_the_predictions(layout, tmp_path):
    LAYOUTS[layout](tmp_path)
    read = species_layouts.read(layout, tmp_path, 'ebird_meta')
    assert read.predictions is not None and len(read.classes) == CLASSES
    assert read.classes[3].endswith(' 3')
    scores = photo_scores.read(read.predictions, len(read.test.label), CLASSES)
    rows = scores.rows(np.arange(len(read.test.label)))
    # The made photo scores 0.4 or 0.6 for the true class and 0 for others, and species 3 lives
    # between 20 south and the equator: rows, labels and places belong together.
    own = rows[np.arange(len(rows)), read.test.label]
    assert set(np.round(own, 3)) <= {0.4, 0.6}
    for part in (read.train, read.test):
        band = np.floor((part.lonlat[:, 1] + 80) / 20)
        assert (band == part.label)[part.placed].all()


def test_what_a_bird_lacks_leaves_training_and_stays_in_the_test(tmp_path):
    made_species.birds(tmp_path)
    read = species_layouts.read('birdsnap', tmp_path, 'ebird_meta')
    # Of 80: one has no image; a place, a user and a date are missing of three.
    assert (len(read.train.label), read.left_out, read.users) == (76, 3, 3)
    assert len(read.test.label) == 31 and read.test.placed.sum() == 30
    assert len(read.val.label) == 23
    with pytest.raises(
        InputError, match='expected training rows with a place and user, found none'
    ):
        species_layouts.read('birdsnap', tmp_path, 'orig_meta')


def test_users_of_inat_are_numbered_and_rows_without_place_or_user_not_trained_on(tmp_path):
    made_species.inat(tmp_path)
    read = species_layouts.read('inat_2018', tmp_path, '')
    assert (len(read.train.label), read.left_out, read.users) == (78, 2, 4)
    assert set(read.train.user) == {0, 1, 2, 3}
    assert len(read.test.label) == 32 and read.test.placed.tolist() == [False] + [True] * 31


def test_yfcc_has_no_users_and_all_its_rows_are_trained_on(tmp_path):
    made_species.yfcc(tmp_path)
    read = species_layouts.read('yfcc', tmp_path, '')
    assert (len(read.train.label), read.left_out, read.users) == (80, 0, 0)
    drawn = species_rows.with_val(read, 0.25, 0)
    assert len(drawn.train.label) + len(drawn.val.label) == 80
    assert 10 <= len(drawn.val.label) <= 30
    again = species_rows.with_val(read, 0.25, 0)
    np.testing.assert_array_equal(drawn.val.lonlat, again.val.lonlat)


def edited(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


BAD = {
    'no folder': ('fmow', None, 'no such folder of the layout fmow'),
    'no locations': (
        'inat_2018', lambda d: (d / 'val2018_locations.json').unlink(),
        'val2018_locations.json: no such file, which the layout needs',
    ),
    'no JSON': (
        'inat_2017', lambda d: (d / 'train2017.json').write_text('{'),
        'train2017.json: cannot be read as JSON',
    ),
    'a list for a dict': (
        'fmow', lambda d: (d / 'category.json').write_text('[]'),
        'category.json: expected a dict at its top, found list',
    ),
    'an image without a place entry': (
        'inat_2018', lambda d: edited(d / 'train2018_locations.json', lambda v: v.pop()),
        'train2018_locations.json: expected an entry for each image of train2018.json, found none',
    ),
    'an image without a label': (
        'fmow', lambda d: edited(d / 'val.json', lambda v: v['annotations'].pop()),
        'val.json: expected an annotation for each image of val.json, found none for',
    ),
    'a class beyond the categories': (
        'inat_2018', lambda d: edited(d / 'categories2018.json', lambda v: v.pop(0)),
        'train, row .*: expected a class 0..6, found 7',
    ),
    'a gap in the categories': (
        'inat_2018', lambda d: edited(d / 'categories2018.json', lambda v: v.pop()),
        r'categories2018.json: expected classes numbered 0\.\.6, found 1\.\.7',
    ),
    'text for a longitude': (
        'fmow', lambda d: edited(d / 'val_location.json', lambda v: v[5].update(lon='east')),
        "lon: expected numbers or null, found 'east'",
    ),
    'another metadata': (
        'birdsnap', lambda d: edited(
            d / 'birdsnap_with_loc_2019.json', lambda v: v['train'][5].pop('ebird_meta')
        ), "expected the key 'ebird_meta', found valid_image",
    ),
    'no split': (
        'nabirds', lambda d: edited(d / 'nabirds_with_loc_2019.json', lambda v: v.pop('test')),
        "expected the key 'test', found classes",
    ),
    'an empty split': (
        'birdsnap', lambda d: edited(
            d / 'birdsnap_with_loc_2019.json', lambda v: v.update(test=[])
        ), 'expected rows in the split test, found none',
    ),
    'half a class': (
        'birdsnap', lambda d: edited(
            d / 'birdsnap_with_loc_2019.json', lambda v: v['test'][4].update(class_id=1.5)
        ), r'test: class_id, row 4: expected a whole number, found 1\.5',
    ),
    'no column': (
        'yfcc', lambda d: pd.read_csv(d / 'train_test_split.csv').drop(columns='lat').to_csv(
            d / 'train_test_split.csv'
        ), "train_test_split.csv: column 'lat' is missing",
    ),
    'swapped': (
        'fmow', lambda d: edited(
            d / 'train_location.json', lambda v: v[3].update(lon=10.0, lat=120.0)
        ), r'found 10, 120 \(are lon and lat swapped\?\)',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_an_odd_layout_is_one_sentence(name, tmp_path):
    layout, change, words = BAD[name]
    folder = tmp_path / layout
    if change:
        folder.mkdir()
        LAYOUTS[layout](folder)
        change(folder)
    with pytest.raises(InputError, match=words):
        species_layouts.read(layout, folder, 'ebird_meta')


def test_names_give_the_order_of_columns(tmp_path):
    rows = made_species.table(tmp_path, train=80, test=16)
    names = [f'kind {9 - k}' for k in range(CLASSES)]
    rows['class'] = [names[k] for k in rows['class']]
    rows.to_csv(tmp_path / 'named.csv', index=False)
    (tmp_path / 'names.txt').write_text('\n'.join(names) + '\n')
    read = species_table.read(str(tmp_path / 'named.csv'), '', str(tmp_path / 'names.txt'))
    assert read.classes == tuple(names)
    band = np.floor((read.train.lonlat[:, 1] + 80) / 20)
    np.testing.assert_array_equal(read.train.label, band)
    alone = species_table.read(str(tmp_path / 'named.csv'), '', '')
    assert alone.classes == tuple(sorted(names))
    np.testing.assert_array_equal(alone.train.label, CLASSES - 1 - band)
