"""Config files, good and bad."""

import pathlib

import pytest

from gair_jax.serve import doctor
from tests.serve.doctor.made import fine, only, texts

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEAD = 'from gair_jax.presets import paper\n\ndef get_config(text=""):\n    config = paper()\n'


def config(folder, *lines, end='    return config\n'):
    path = folder / 'made.py'
    path.write_text(HEAD + ''.join(f'    {line}\n' for line in lines) + end)
    return path


def test_a_config_whose_data_are_not_built(tmp_path):
    nowhere = doctor.Expected(data_dir=str(tmp_path))
    only(config(tmp_path), 'suspicious', 'gair data build', str(tmp_path), expected=nowhere)


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('config.model.rs.pach = 8', ('config.model.rs.pach', 'no such setting', 'patch')),
        ('config.epoch = 3', ('config.epoch',)),
        ('config.batch = "256"', ('config.batch', 'int', "'256'")),
        ('config.model.rs = 3', ('model.rs', 'EncoderConfig')),
        ('config.augment = 1', ('config.augment',)),
        ('config.input.augment = 1', ('config.input.augment', 'bool')),
        ('config.model.rs.heads = 5', ('heads',)),
        ('config.model.nili.kind = "nearest"', ('nearest',)),
        ('config.input.rs.sensor = "landsat"', ('landsat', 'sentinel2_10')),
        ('config.loss.objective = "clip"', ('clip', 'mae')),
        ('config.optimizer.name = "lamb"', ('lamb', 'adamw')),
        ('config.bank.size = -1', ('bank.size',)),
        ('config.input.rs.placement = "left"', ('left',)),
        ('raise ValueError("no luck")', ('ValueError: no luck',)),
        ('return {"batch": 3}', ('dict',)),
        ('import a_module_that_is_not_there', ('a_module_that_is_not_there',)),
    ],
)
def test_what_is_wrong_is_named(tmp_path, line, words):
    found = [f for f in doctor.examine(config(tmp_path, line)) if f.level == 'unusable']
    assert len(found) == 1, found
    for word in words:
        assert word in found[0].text, found


def test_whole_numbers_are_floats_too(tmp_path):
    path = config(tmp_path, 'config.epochs = 3')
    assert not [t for t in texts(path) if 'unusable' in t]


def test_one_file_does_not_lend_its_names_to_the_next(tmp_path):
    assert not [t for t in texts(config(tmp_path)) if 'unusable' in t]
    (tmp_path / 'empty.py').write_text('x = 1\n')
    only(tmp_path / 'empty.py', 'unusable', 'get_config')


def test_files_that_are_no_config(tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text('def get_config(:\n')
    only(broken, 'unusable', 'SyntaxError')
    broken.write_text('x = 1\n')
    only(broken, 'unusable', 'get_config')


def test_a_checkpoint_to_start_from_that_is_absent(tmp_path):
    path = config(tmp_path, 'config.init.rs = "nowhere/croma"')
    assert any('init.rs' in text and 'nowhere/croma' in text for text in texts(path))


def test_against_a_data_set(prepared_photos, tmp_path):
    expected = doctor.Expected(data_dir=str(prepared_photos))
    lines = ['config.data.name = "photos"', 'config.data.variant = "default"']
    fits = [*lines, 'config.input.rs.window = config.input.rs.size = 8']
    assert fine(config(tmp_path, *fits), expected)
    wide = config(tmp_path, *lines, 'config.input.rs.window = 960')
    only(wide, 'unusable', 'input.rs.window', '960', expected=expected)
    bands = config(tmp_path, *fits, 'config.input.rs.sensor = "sentinel2_12"')
    only(bands, 'unusable', 'sentinel2_12', 'B01', expected=expected)
    split = config(tmp_path, *fits, 'config.data.train_split = "training"')
    only(split, 'unusable', 'data.train_split', "'training'", expected=expected)


@pytest.mark.slow
def test_every_config_of_the_project_is_accepted(tmp_path):
    nowhere = doctor.Expected(data_dir=str(tmp_path))
    for path in sorted((ROOT / 'configs/pretrain').glob('[!_]*.py')):
        assert [f.level for f in doctor.examine(path, nowhere)] == ['suspicious'], path
