"""A small data set with labels of every kind, and a small model that reads it."""

import contextlib
import json
import pathlib
from unittest import mock

import jax
import numpy as np

from gair_jax.models import gair
from tests.input import toy
from tests.models import small
from tests.train.tiny import tiny_config

FOUR, FIVE = list('abcd'), list('abcde')
TASKS = {
    'shade': {'encoder': 'sv', 'label': 'v', 'on': 'photo', 'kind': 'regression'},
    'kind': {'encoder': 'sv', 'label': 'kind', 'on': 'photo', 'kind': 'class', 'classes': FOUR},
    'cover': {'encoder': 'rs', 'label': 'cover', 'on': 'tile', 'kind': 'mask', 'classes': FIVE},
    'season': {
        'encoder': 'rs', 'label': 'cover', 'on': 'tile', 'kind': 'mask', 'classes': FIVE,
        'dates': 'all',
    },
    'scene': {'encoder': 'rs', 'label': 'kind', 'on': 'photo', 'kind': 'class', 'classes': FOUR},
    'range': {'encoder': 'location', 'label': 'v', 'on': 'tile', 'kind': 'regression'},
}  # fmt: skip
TILES = {'train': range(0, 8), 'val': range(8, 11), 'test': range(11, 17)}


def write(folder: pathlib.Path):
    """Four photos a tile away from its border, three dates; the config of a model for it."""
    rng = np.random.default_rng(0)
    photos, number = {}, 0
    for split, tiles in TILES.items():
        photos[split] = []
        for tile in tiles:
            for _ in range(4):
                labels = {
                    'kind': np.array(rng.integers(4), np.int64),
                    'v': rng.normal(size=3).astype(np.float32),
                }
                at = rng.uniform(-0.5, 0.5, 2)
                photos[split].append(toy.photo(number, tile, at, labels=labels))
                number += 1
    acquisitions = [toy.acquisition(tile, date) for tile in range(17) for date in range(toy.DATES)]
    toy.write(folder, photos, acquisitions)
    stored = next((folder / 'toy' / 'tiny_photos').glob('*/metadata.json'))
    stored.write_text(json.dumps({**json.loads(stored.read_text()), 'tasks': TASKS}))
    return tiny_config(folder, 'toy', 'tiny')


@contextlib.contextmanager
def drawn_by_rule():
    """Models draw their parameters by NumPy, from their key: nothing is compiled for it."""

    def init(model, key):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        made = small.drawn(model._init)
        return jax.tree.map(lambda x: x + np.float32(0.3) * rng.normal(size=x.shape), made)

    with mock.patch.object(gair.Model, 'init', init):
        yield
