"""What is installed is what lies here: every package of the three folders is named in setup.cfg."""

import configparser
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAPPED = {'gair_jax': 'gair_jax', 'data': 'gair_jax.builders', 'configs': 'gair_jax.configs'}


def test_every_package_folder_is_in_the_wheel():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    found = set()
    for folder, package in MAPPED.items():
        for init in (ROOT / folder).rglob('__init__.py'):
            below = init.parent.relative_to(ROOT / folder).parts
            found.add('.'.join((package, *below)))
    assert set(setup['options']['packages'].split()) == found
