"""A toy prepared data set, written straight with TFDS: known pixels, several dates, gaps."""

import io
import pathlib

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from gair_jax import sensors
from gair_jax.config import Config
from gair_jax.geo import tiles
from gair_jax.input.records import Acquisition, Photo, acquisition_features, photo_features

SIDE = 40  # of a tile, in pixels of 10 m
DATES = 3
BANDS = sensors.TEN_BANDS
COVER = {
    'encoder': 'rs', 'label': 'cover', 'on': 'tile', 'kind': 'mask', 'classes': list('abcde'),
    'statistics': {'mean': [1000.0] * len(BANDS), 'std': [500.0] * len(BANDS)},
}  # fmt: skip


class Toy(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version('1.0.0')

    def __init__(self, *, kind, records, features, **kwargs):
        self._kind, self._records, self._features = kind, records, features
        super().__init__(
            config=tfds.core.BuilderConfig(name=f'tiny_{kind}'),
            file_format='array_record',
            **kwargs,
        )

    def _info(self):
        return self.dataset_info_from_configs(
            features=self._features,
            metadata=tfds.core.MetadataDict(
                {'bands': list(BANDS), 'synthetic': True, 'tasks': {'cover': COVER}}
            ),
            disable_shuffling=self._kind == 'acquisitions',
        )

    def _split_generators(self, manager):
        return {split: self._rows(split) for split in self._records}

    def _rows(self, split):
        for row, record in enumerate(self._records[split]):
            key = row if self._kind == 'acquisitions' else record.id
            yield key, record.to_example()

    def _generate_examples(self):
        raise NotImplementedError


def write(
    folder, photos: dict[str, list[Photo]], acquisitions: list[Acquisition], shards=1
) -> Config:
    """Writes `folder`/toy/tiny_{photos,acquisitions} and returns a Config that reads it."""
    tfds.disable_progress_bar()
    first = next(iter(photos.values()))[0]
    labels = {name: (value.shape, value.dtype) for name, value in first.labels.items()}
    parts = {'photos': (photos, photo_features(labels))}
    if acquisitions:
        features = acquisition_features(acquisitions[0].labels)
        parts['acquisitions'] = ({'tiles': acquisitions}, features)
    for kind, (records, features) in parts.items():
        builder = Toy(kind=kind, records=records, features=features, data_dir=str(folder))
        fitting = min([shards, *(len(split) for split in records.values())])
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(num_shards=fitting)
        )
    return config(folder)


def config(folder: pathlib.Path) -> Config:
    """Small and plain: windows of 16 pixels, photos of 16 pixels."""
    made = Config(batch=8, seed=3)
    made.data.dir, made.data.name, made.data.variant = str(folder), 'toy', 'tiny'
    made.data.threads = 2
    made.input.rs.window = made.input.rs.size = made.input.sv.size = 16
    return made


def jpeg(seed: int, size=(16, 16), form='PNG') -> bytes:
    """An image of noise; PNG, so that its pixels are known."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def corner(tile: int) -> tuple[float, float]:
    """Left and top of a tile in EPSG:32633."""
    return 500_000.0 + 1000 * tile, 5_500_000.0


def acquisition(tile: int, date: int, side=SIDE, **changes) -> Acquisition:
    """Random pixels, except that B02 counts rows, B03 counts columns and B04 tells the date."""
    rng = np.random.default_rng([tile, date])
    bands = rng.integers(100, 4000, (side, side, len(BANDS))).astype(np.uint16)
    bands[..., 0] = np.arange(side)[:, None] * 20 + 500
    bands[..., 1] = np.arange(side)[None, :] * 20 + 500
    bands[..., 2] = 700 + 100 * date  # constant over a window, so that the date shows
    left, top = corner(tile)
    fields = dict(
        id=f'tile{tile}/{date}',
        tile=tile,
        date=f'2020-0{date + 1}-01',
        cloud=float('nan'),
        bands=bands,
        band_names=BANDS,
        bounds=np.array([left, top, left + 10 * side, top - 10 * side]),
        crs='EPSG:32633',
        transform=np.array([10.0, 0, left, 0, -10.0, top]),
        labels={'cover': (bands[..., 3] % 5).astype(np.uint8)},
    )
    return Acquisition(**{**fields, **changes})


def photo(number: int, at: int, xy=(0.0, 0.0), **changes) -> Photo:
    """A photo at tile_xy `xy` of tile `at`."""
    left, top = corner(at)
    bounds = np.array([left, top, left + 10 * SIDE, top - 10 * SIDE])
    fields = dict(
        id=f'photo{number:04d}',
        photo=jpeg(number),
        lonlat=tiles.tile_xy_to_lonlat(np.array(xy, np.float64), bounds, 'EPSG:32633'),
        heading=float('nan'),
        date='',
        licence='CC0',
        group=f'city{number % 3}',
        tile=at,
        acquisitions=[DATES * at + date for date in range(DATES)],
        labels={
            'kind': np.array(number % 4, np.int64),
            'turn': np.array((number + 1) % 3, np.int64),
            'v': np.arange(3, dtype=np.float32),
        },
    )
    return Photo(**{**fields, **changes})


def places(n: int, n_tiles: int, seed=0) -> list[Photo]:
    """Photos at random places, in turn over the tiles; every seventh has no tile, no photo."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        gaps = {'tile': -1, 'acquisitions': []} if number % 7 == 5 else {}
        gaps |= {'photo': b''} if number % 7 == 3 else {}
        made.append(photo(number, number % n_tiles, rng.uniform(-0.99, 0.99, 2), **gaps))
    return made


def data_set(folder: pathlib.Path, n=30, n_tiles=4, shards=1) -> Config:
    """Photos in splits train and val, tiles with three dates each."""
    dated = [acquisition(tile, date) for tile in range(n_tiles) for date in range(DATES)]
    photos = places(n, n_tiles)
    return write(folder, {'train': photos[: n - 10], 'val': photos[n - 10 :]}, dated, shards)
