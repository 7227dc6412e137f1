"""A made-up world of species, and the files of every layout, by rule.

Eight species live in bands of latitude of 20 degrees, from 80 south. An image model takes species k
for k + 4, which lives 80 degrees off, every other time: it is right for half of all photos, the
place tells all of them.
"""

import json

import numpy as np
import pandas as pd
import scipy.sparse

CLASSES = 8


def frame(count, split, seed=0):
    """A row a photo, classes in turn."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(count) % CLASSES)
    lat = -80 + 20 * label + rng.uniform(0.5, 19.5, count)
    lon = rng.uniform(-180, 180, count)
    return pd.DataFrame({'lon': lon, 'lat': lat, 'class': label, 'split': split})


def photos(label):
    """Right for every other row of each class, else taken for the class of the other pair."""
    label = np.asarray(label)
    right = np.zeros(len(label), bool)
    for k in range(CLASSES):
        own = np.flatnonzero(label == k)
        right[own[::2]] = True
    scores = np.zeros((len(label), CLASSES), np.float32)
    rows, other = np.arange(len(label)), (label + CLASSES // 2) % CLASSES
    scores[rows, label] = np.where(right, 0.6, 0.4)
    scores[rows, other] = np.where(right, 0.4, 0.6)
    return scores


def table(folder, *, train=1200, test=320, lost=0):
    """A table and its predictions; the first `lost` test rows have no place."""
    tested = frame(test, 'test', seed=1)
    tested.loc[tested.index < lost, ['lon', 'lat']] = np.nan
    rows = pd.concat([frame(train, 'train'), tested], ignore_index=True)
    rows.to_csv(folder / 'photos.csv', index=False)
    np.save(folder / 'photos.npy', photos(tested['class']))
    return rows


def write_json(path, value):
    path.write_text(json.dumps(value), encoding='utf-8')


def sparse(path, scores):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(scores))


def dense(path, scores):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, scores)


def birds(folder, name='birdsnap'):
    """Of each split, the first rows lack in turn an image, a place, a user, a date."""
    data = {'classes': [f'bird {k}' for k in range(CLASSES)]}
    for split, count in (('train', 80), ('valid', 24), ('test', 32)):
        rows = frame(count, split, seed=count)
        items = [
            {
                'valid_image': True,
                'im_path': f'{i}.jpg',
                'class_id': int(row['class']),
                'ebird_meta': {'user_id': i % 3, 'date': 0.1, 'lon': row['lon'], 'lat': row['lat']},
                'orig_meta': {'user_id': None, 'date': None, 'lon': float('nan'), 'lat': None},
            }
            for i, (_, row) in enumerate(rows.iterrows())
        ]
        items[0]['valid_image'] = False
        items[1]['ebird_meta'] |= {'lon': None, 'lat': None}
        items[2]['ebird_meta']['user_id'] = None
        items[3]['ebird_meta']['date'] = None
        data[split] = items
    write_json(folder / f'{name}_with_loc_2019.json', data)
    label = [item['class_id'] for item in data['test'][1:]]
    sparse(folder / f'features_inception/{name}_test_preds_sparse.npz', photos(label))


def coco(folder, labels, places, count, seed):
    """Images whose ids neither start at 0 nor stand in the order of annotations or places."""
    rows = frame(count, '', seed=seed)
    ids = [1000 - 3 * i for i in range(count)]
    located = [
        {'id': k, 'lon': r['lon'], 'lat': r['lat'], 'user_id': 7 * (i % 4), 'date_c': 0.5}
        for i, (k, (_, r)) in enumerate(zip(ids, rows.iterrows(), strict=True))
    ]
    located[0] |= {'lon': None, 'lat': None}
    located[1]['user_id'] = None
    annotations = [
        {'image_id': k, 'category_id': int(c)} for k, c in zip(ids, rows['class'], strict=True)
    ]
    data = {'images': [{'id': k} for k in ids], 'annotations': annotations[::-1]}
    write_json(folder / labels, data)
    write_json(folder / places, located[::-1])
    return rows['class']


def inat(folder, year='2018'):
    coco(folder, f'train{year}.json', f'train{year}_locations.json', 80, 0)
    label = coco(folder, f'val{year}.json', f'val{year}_locations.json', 32, 1)
    categories = [{'id': k, 'name': f'species {k}'} for k in range(CLASSES)]
    write_json(folder / f'categories{year}.json', categories[::-1])
    sparse(folder / f'features_inception/inat{year}_val_preds_sparse.npz', photos(label))


def fmow(folder):
    coco(folder, 'train.json', 'train_location.json', 80, 0)
    label = coco(folder, 'val.json', 'val_location.json', 32, 1)
    write_json(folder / 'category.json', {f'use {k}': k for k in range(CLASSES)})
    dense(folder / 'feature_moco/fmow_val_preds.npy', photos(label))


def yfcc(folder):
    rows = pd.concat([frame(80, 'train'), frame(32, 'test', seed=1)], ignore_index=True)
    rows.to_csv(folder / 'train_test_split.csv', index=False)
    names = pd.DataFrame({'id': range(CLASSES), 'name': [f'scene {k}' for k in range(CLASSES)]})
    names.to_csv(folder / 'class_names.csv', index=False)
    label = rows.loc[rows['split'] == 'test', 'class']
    dense(folder / 'features_inception/YFCC_test_preds.npy', photos(label))


LAYOUTS = {
    'birdsnap': birds,
    'nabirds': lambda folder: birds(folder, 'nabirds'),
    'inat_2017': lambda folder: inat(folder, '2017'),
    'inat_2018': inat,
    'fmow': fmow,
    'yfcc': yfcc,
}
