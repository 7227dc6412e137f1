"""The card: what it says follows from the tables, and nothing in them is taken for markup."""

import json

import numpy as np
import pandas as pd
import pytest

from gair_jax.report import dataset_card

EVIL = '<script>alert(1)</script>|x'


def line(item, most, spent):
    fields = {'item': item, 'requests': 0, 'fetched': 0.0, 'hours': 0.0, 'disk': 0.0}
    return {'most': fields, 'spent': fields, 'words': [most, spent]}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    count = 60
    cities = np.array([EVIL, 'oslo', ''])[np.arange(count) % 3]
    pd.DataFrame(
        {
            'lon': rng.uniform(2, 2.01, count), 'lat': rng.uniform(48, 48.01, count),
            'heading': np.where(np.arange(count) % 2, 90.0, np.nan), 'city_id': cities,
            'date': [('', '2019-05-01', 'May 2019')[k % 3] for k in range(count)],
            'creator': np.where(np.arange(count) % 3 == 0, EVIL, 'ann $x$'),
        }
    ).to_parquet(tmp_path / 'attribution.parquet')  # fmt: skip
    pd.DataFrame(
        {'tile': ['a', 'a', 'b'], 'date': ['2020-05-10', '2020-06-10', '2020-06-10'],
         'cloud': [0.0, 0.1, 0.2]}
    ).to_parquet(tmp_path / 'scenes.parquet')  # fmt: skip
    facts = {
        'name': 'streetscapes', 'variant': 'default', 'synthetic': True, 'version': '0.1.0',
        'rows': 70,
        'ends': [['kept', '', 60], ['dropped', EVIL, 10]], 'records': 60,
        'splits': {'train': 60}, 'tile_dates': 9, 'tiles': 2, 'cities': 2,
        'sources': {'mapillary': 60}, 'licences': {'CC BY-SA 4.0': 50, '': 10}, 'creators': 2,
        'notice': 'Contains modified Copernicus Sentinel data 2020.', 'offset_removed': 1,
        'offset_conflicts': 0, 'reprojected': 0, 'settings': {'photos.side': 336},
        'table_digest': 'abc', 'faults': [],
        'costs': [line('photos', ['80', '9 MB', '1 s', '9 MB'], ['-', '8 MB', '-', '-'])],
    }  # fmt: skip
    (tmp_path / 'card.json').write_text(json.dumps(facts))
    return tmp_path


def test_the_card_says_what_the_tables_hold(folder):
    page = dataset_card.write(folder)
    text = (folder / 'card.md').read_text()
    assert text.startswith('# streetscapes/default (synthetic data)\n')
    assert '| records | 60 (train 60) |' in text and '| kept |  | 60 |' in text
    assert '| CC BY-SA 4.0 | 50 |' in text and '| not named | 10 |' in text
    assert '| photos | at most | 80 | 9 MB | 1 s | 9 MB |' in text
    assert 'creators, most of all ann $x$ (40)' in text and 'nothing was found to be wrong' in text
    assert '![Places of the records that were kept.](map.png)' in text
    said = page.read_text()
    assert '<td>records</td><td>60 (train 60)</td>' in said and said.count('data:image/png') == 2
    assert not list(folder.glob('.*.part')) and not list(folder.glob('*.part'))


def test_names_are_text_and_no_markup(folder):
    page = dataset_card.write(folder)
    text = (folder / 'card.md').read_text()
    for said in (page.read_text(), text):
        assert '<script' not in said and '&lt;script&gt;' in said
    row = next(line for line in text.splitlines() if line.startswith('| dropped'))
    assert row.replace(r'\|', '').count('|') == 4


def test_faults_stand_where_the_checks_are(folder):
    facts = json.loads((folder / 'card.json').read_text()) | {'faults': ['a is packed twice.']}
    (folder / 'card.json').write_text(json.dumps(facts))
    dataset_card.write(folder)
    assert (folder / 'card.md').read_text().endswith('## Checks\n\na is packed twice.\n')


def test_a_set_of_places_without_photos_has_a_card(folder):
    records = pd.read_parquet(folder / 'attribution.parquet')
    records = records.assign(city_id='', date='', creator='', heading=np.nan)
    records.to_parquet(folder / 'attribution.parquet')
    facts = json.loads((folder / 'card.json').read_text()) | {'sources': {}, 'creators': 0}
    (folder / 'card.json').write_text(json.dumps(facts))
    dataset_card.write(folder)
    text = (folder / 'card.md').read_text()
    assert '| sources | places alone, without photos |' in text and 'creators, most' not in text
