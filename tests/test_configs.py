"""Every experiment can be loaded, built and told apart, and says how it is run."""

import dataclasses
import pathlib

import pytest

from gair_jax import config_files
from gair_jax.config import InputError
from gair_jax.input import pipeline
from gair_jax.train import checkpoint, objective, optimizer
from gair_jax.transfer import settings

FOLDER = pathlib.Path(__file__).resolve().parents[1] / 'configs' / 'pretrain'
FILES = sorted(path for path in FOLDER.glob('*.py') if path.name != '__init__.py')

TRANSFER = FOLDER.parent / 'transfer'
TRANSFER_FILES = sorted(p.stem for p in TRANSFER.glob('*.py') if p.name != '__init__.py')

# What the paper's sections 5.2, 5.4, 5.5 and Table 6 vary.
EXPECTED = {
    'without_nili': ['model.nili.kind'],
    'without_location': ['model.location.enabled', 'loss.secl_weight', 'bank.size'],
    'without_both': ['model.location.enabled', 'model.nili.kind', 'loss.secl_weight', 'bank.size'],
    'bilinear': ['model.nili.kind'],
    'bicubic': ['model.nili.kind'],
    'debias': ['epochs', 'model.sv.enabled'],
    'noise': ['epochs', 'input.noise.kappa'],
    'patch16': ['model.rs.patch'],
    'input128': ['input.rs.window', 'input.rs.size'],
    'streetscapes': ['data.name', 'data.balance', 'loss.mask_same_tile', 'loss.mask_radius_m'],
}


def load(name, preset=''):
    return config_files.load(f'{FOLDER / name}.py{preset}', [])


@pytest.mark.parametrize('name', [path.stem for path in FILES])
def test_every_experiment_can_be_built(name):
    config = load(name)
    pipeline.check(config)
    objective.create(config)
    optimizer.create(config, 100)
    assert f'--config=configs/pretrain/{name}.py' in (FOLDER / f'{name}.py').read_text()


@pytest.mark.parametrize('preset', ['paper', 'release', 'history'])
def test_every_preset_can_be_built(preset):
    objective.create(load('base', f':{preset}'))


@pytest.mark.parametrize('name', EXPECTED)
def test_an_ablation_changes_only_what_it_is_about(name):
    stored = checkpoint.to_json(load('gair_base'))
    changed = [text.split(' was ')[0] for text in checkpoint.differences(stored, load(name))]
    assert changed == EXPECTED[name]


def test_street_views_by_whole_tiles_and_on_a_laptop_differ_in_sizes_alone():
    stored = checkpoint.to_json(load('streetscapes'))
    changed = {
        kind: {
            text.split(' was ')[0]
            for text in checkpoint.differences(stored, load('streetscapes', f':{kind}'))
        }
        for kind in ('native', 'release', 'tour')
    }
    assert changed['native'] == set() and changed['release'] == {'input.rs.placement'}
    kept = ('loss.', 'data.name', 'data.balance', 'input.rs', 'input.date', 'model.nili.kind')
    assert {'data.variant', 'steps', 'batch', 'model.rs.dim'} < changed['tour']
    assert not [name for name in changed['tour'] if name.startswith(kept)]
    objective.create(load('streetscapes', ':tour'))
    with pytest.raises(InputError, match="expected native, release, tour, found 'chips'"):
        load('streetscapes', ':chips')


def transfer(name):
    return config_files.load_kind(settings.TransferConfig, f'{TRANSFER / name}.py', [])


@pytest.mark.parametrize('name', TRANSFER_FILES)
def test_every_transfer_config_is_sound_and_says_how_it_is_run(name):
    settings.check(transfer(name))
    assert f'--config=configs/transfer/{name}.py' in (TRANSFER / f'{name}.py').read_text()


def test_transfer_configs_differ_from_each_other():
    made = [dataclasses.asdict(transfer(name)) for name in TRANSFER_FILES]
    assert all(made.count(config) == 1 for config in made)


@pytest.mark.parametrize(
    ('name', 'fit'), [('pangaea', (8, 80.0, 1e-4, 'steps')), ('gair', (256, 50.0, 1e-3, 'cosine'))]
)
def test_the_recipes_are_those_that_the_paper_names(name, fit):
    # PANGAEA-Bench's defaults, and section 5 of the paper.
    found = transfer(name).fit
    assert (found.batch, found.epochs, found.rate, found.schedule) == fit
