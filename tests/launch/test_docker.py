"""launch/Dockerfile: it copies what the package is built from, and its extras exist."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'launch' / 'Dockerfile').read_text()
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / 'setup.cfg')


def sources():
    """What is copied from the build context."""
    copies = re.findall(r'^COPY (?!--from)(.+) \S+$', TEXT, re.MULTILINE)
    return {source for copy in copies for source in copy.split()}


def test_the_build_gets_everything_that_the_package_is_made_of():
    packages = SETUP['options']['package_dir'].split('\n')
    folders = {line.split('=')[1].strip() for line in packages if line}
    files = {SETUP['metadata']['license_files'], 'README.md', 'setup.cfg', 'pyproject.toml'}
    assert sources() == folders | files
    assert all((ROOT / source).exists() for source in sources())


def test_the_context_holds_what_is_copied_and_no_more():
    lines = (ROOT / 'launch' / 'Dockerfile.dockerignore').read_text().split()
    assert lines[0] == '*'
    assert {line[1:] for line in lines if line.startswith('!')} == sources()


def test_the_extras_exist():
    (extras,) = re.findall(r'case \$\{EXTRA\} in (.+?)\)', TEXT)
    assert {extra.strip() for extra in extras.split('|')} == {'cuda', 'tpu'}
    assert SETUP['options.extras_require']['cuda'].strip().startswith('jax[cuda')
    assert SETUP['options.extras_require']['tpu'].strip().startswith('jax[tpu]')
    assert 'jax>=' in SETUP['options']['install_requires']  # the extras share its range


def test_it_runs_gair_and_not_as_root():
    last = TEXT.rpartition('\nFROM ')[2]
    assert re.findall(r'^USER (\d+)$', last, re.MULTILINE) == ['1000']
    assert last.splitlines()[-1] == 'ENTRYPOINT ["gair"]'
    assert SETUP['options.entry_points']['console_scripts'].split()[0] == 'gair'
