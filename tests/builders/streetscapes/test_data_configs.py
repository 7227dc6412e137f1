"""Every config of a build can be loaded and says how it is run."""

import pathlib

import pytest

from gair_jax import config_files
from gair_jax.builders.streetscapes import forecast, periods
from gair_jax.builders.streetscapes.settings import StreetscapesConfig

FOLDER = pathlib.Path(__file__).resolve().parents[3] / 'configs/data'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py') if path.name != '__init__.py')


def load(name, *overrides):
    return config_files.load_kind(StreetscapesConfig, f'{FOLDER / name}.py', overrides)


@pytest.mark.parametrize('name', NAMES)
def test_a_config_is_sound_and_says_how_it_is_run(name):
    made = load(name)
    periods.check(made.scenes.period)
    assert forecast.dates(made.scenes) >= 1
    text = (FOLDER / f'{name}.py').read_text()
    assert f'gair data build streetscapes --config=configs/data/{name}.py' in text


def test_the_debiasing_set_is_that_of_the_paper_as_far_as_it_says():
    made = load('debias', "--config.places.strata=('zones.tif','parts.tif')")
    assert made.places.count == 200_000 and made.places.blocks == 2000
    assert made.places.strata == ('zones.tif', 'parts.tif')
    assert forecast.dates(made.scenes) == 4 and made.variant == 'debias'
