"""The directions of imports, read from the source without running it."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Where each top-level name of the package comes from.
SOURCES = {'gair_jax': 'gair_jax', 'gair_jax.builders': 'data', 'gair_jax.configs': 'configs'}

BASE = {'config', 'presets', 'sensors', 'geo'}
LOWER = BASE | {'input', 'models', 'losses'}
# What each room may import beside itself; the root package may be imported by all.
MAY_IMPORT = {
    'config': set(),
    'presets': {'config'},
    'config_files': {'config'},
    'sensors': {'config'},
    'geo': {'config'},
    'input': BASE,
    'builders': BASE | {'input'},
    'models': BASE,
    'losses': BASE,
    'scores': {'config'},
    'convert': {'config', 'presets'},
    'train': LOWER | {'convert'},
    'transfer': LOWER | {'train', 'convert', 'scores'},
    'serve': LOWER | {'config_files', 'train', 'convert', 'scores'},
    'bench': LOWER | {'config_files', 'train', 'convert', 'serve'},
    'report': LOWER | {'train', 'convert', 'scores', 'transfer', 'serve'},
    'sweep': LOWER | {'config_files', 'train', 'report'},
    'configs': {'config', 'presets', 'sweep', 'transfer', 'builders'},
}
# The command line may import anything, and does so inside its verbs.
TOP = {'', 'cli', 'verbs'}
# A verb imports what it needs when it runs; these are what a light start must not load.
HEAVY = ('flax', 'grain', 'jax', 'matplotlib', 'tensorflow', 'tensorflow_datasets', 'torch')


def modules():
    """(module name, path) of every source file."""
    for prefix, folder in SOURCES.items():
        for path in sorted((ROOT / folder).rglob('*.py')):
            parts = path.relative_to(ROOT / folder).with_suffix('').parts
            yield '.'.join((prefix, *parts)).removesuffix('.__init__'), path


def imported(name, path):
    """Every module that a file imports, anywhere in it, as absolute dotted names."""
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split('.')[: len(package.split('.')) - node.level + 1]
            base = '.'.join([*(up if node.level else []), *filter(None, [node.module])])
            # `from gair_jax import sensors` names a room only through what is imported.
            yield from (f'{base}.{alias.name}' for alias in node.names)


def room(module):
    """'losses' of 'gair_jax.losses.mae'; '' for the root package and other people's."""
    parts = module.split('.')
    return parts[1] if parts[0] == 'gair_jax' and len(parts) > 1 else ''


ROOMS = {room(name) for name, _ in modules()}
FILES = [pytest.param(name, path, id=name) for name, path in modules()]


def test_every_room_has_its_rule():
    assert ROOMS <= {*MAY_IMPORT, *TOP}


@pytest.mark.parametrize(('name', 'path'), FILES)
def test_imports_go_downward(name, path):
    own = room(name)
    if own in TOP:
        return
    targets = {room(module) for module in imported(name, path)} & ROOMS - {own, ''}
    assert targets <= MAY_IMPORT[own], f'{own} imports {targets - MAY_IMPORT[own]}'


@pytest.mark.parametrize(('name', 'path'), FILES)
def test_only_models_imports_flax_and_the_host_side_no_jax(name, path):
    others = {module.split('.')[0] for module in imported(name, path)}
    own = room(name)
    assert 'flax' not in others or own == 'models'
    if own in (
        '',
        'builders',
        'config',
        'config_files',
        'configs',
        'geo',
        'input',
        'sensors',
        'scores',
    ):
        assert not others & {'jax', 'optax', 'orbax'}


def test_a_light_start_loads_nothing_heavy():
    """`gair --help` stays fast; jaxtyping loads jax for its `Array` alone."""
    code = (
        'import sys, gair_jax, gair_jax.cli, gair_jax.sensors, gair_jax.geo.tiles\n'
        f'print([m for m in {HEAVY} if m in sys.modules])'
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == '[]', ran.stderr


def test_the_walk_sees_every_form_of_import(tmp_path):
    """What the tests above rest on."""
    path = tmp_path / 'made.py'
    path.write_text('import a.b\nfrom gair_jax import losses\ndef f():\n    from . import x as y\n')
    assert set(imported('gair_jax.models.made', path)) == {
        'a.b',
        'gair_jax.losses',
        'gair_jax.models.x',
    }
