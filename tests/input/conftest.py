import pytest

from gair_jax.config import Config
from tests.input import toy


@pytest.fixture(scope='session')
def toy_folder(tmp_path_factory):
    """30 photos over 4 tiles of three dates, in three shards."""
    folder = tmp_path_factory.mktemp('prepared')
    toy.data_set(folder, shards=3)
    return folder


@pytest.fixture
def toy_config(toy_folder) -> Config:
    return toy.config(toy_folder)
