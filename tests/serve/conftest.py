"""A tiny checkpoint, and files that it can embed."""

import pathlib

import numpy as np
import pytest
from PIL import Image

import gair_jax
from gair_jax import sensors
from gair_jax.models import gair
from gair_jax.serve.embedder import Embedder
from gair_jax.train import checkpoint
from tests.builders import scenes
from tests.models import small


def saved(config, folder):
    """A checkpoint of a config, its parameters drawn by rule."""
    params = small.drawn(gair.build(config).init)
    contracts = {
        'rs': sensors.contract(config.input.rs.sensor),
        'sv': sensors.contract(config.input.sv.sensor),
    }
    checkpoint.write(folder, config, params, contracts, carried={}, origin={})
    return folder


@pytest.fixture(scope='session')
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Folder of a checkpoint of all three encoders, 16 wide, over 16-px windows."""
    config = small.config()
    config.input.rs.window = 16
    return saved(config, tmp_path_factory.mktemp('tiny') / 'checkpoint')


@pytest.fixture(scope='session')
def tiny(tiny_checkpoint: pathlib.Path) -> Embedder:
    """That checkpoint, loaded."""
    return gair_jax.load(tiny_checkpoint)


@pytest.fixture(scope='session')
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """A model that sees tiles as wholes and projects photos, as the official weights do."""
    config = small.config('release')
    return gair_jax.load(saved(config, tmp_path_factory.mktemp('tiny') / 'release'))


@pytest.fixture(scope='session')
def tiny_place(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """A model of the location encoder alone."""
    config = small.config()
    config.model.rs.enabled = config.model.sv.enabled = False
    return gair_jax.load(saved(config, tmp_path_factory.mktemp('tiny') / 'place'))


@pytest.fixture(scope='session')
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[pathlib.Path]:
    """JPEG files of different sizes; nothing in them is symmetric."""
    folder = tmp_path_factory.mktemp('photos')
    paths = [folder / f'p{i}.jpg' for i in range(5)]
    for i, path in enumerate(paths):
        noise = np.random.default_rng(i).integers(0, 256, (40 + i, 50, 3)).astype(np.uint8)
        path.write_bytes(scenes.jpeg(Image.fromarray(noise)))
    return paths


@pytest.fixture(scope='session')
def tile(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A GeoTIFF of 12 bands, 20 x 24 pixels of 0.001 degrees from `scenes.PLACE`."""
    return scenes.write_tile(tmp_path_factory.mktemp('tile') / 't.tif')


@pytest.fixture
def rows(tmp_path: pathlib.Path) -> list[dict]:
    """Rows of 2 tiles of 3 photos each, whose files lie in `tmp_path`."""
    return scenes.write_set(tmp_path, tiles=2, photos=3)
