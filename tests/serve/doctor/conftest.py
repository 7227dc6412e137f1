import pytest

from gair_jax.builders import photos
from tests.builders import scenes


@pytest.fixture(scope='session')
def prepared_photos(tmp_path_factory):
    """A data folder with photos/default: three tiles of 24 x 20 pixels with two photos each."""
    folder = tmp_path_factory.mktemp('data')
    rows = scenes.write_set(folder, tiles=3, photos=2)
    table = scenes.write_table(folder / 'table.csv', rows)
    photos.build(table, {}, folder, data_dir=folder / 'prepared')
    return folder / 'prepared'
