"""Every shell script of launch/ passes shellcheck."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob('launch/**/*.sh'), *ROOT.glob('launch/**/*.sbatch')])
# Beside the interpreter, where pip puts it, or anywhere on the path.
BESIDE = str(pathlib.Path(sys.executable).parent)
SHELLCHECK = shutil.which('shellcheck', path=os.pathsep.join([BESIDE, os.environ['PATH']]))
needs_shellcheck = pytest.mark.skipif(
    SHELLCHECK is None, reason='shellcheck is not installed (extra `test` has it)'
)


def check(path):
    command = [SHELLCHECK, '--external-sources', '--severity=style', str(path)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_scripts_are_found():
    names = {path.name for path in SCRIPTS}
    assert {'environment.sh', 'quickstart.sh', 'test.sh', 'train.sh', 'train.sbatch'} <= names


@needs_shellcheck
@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    ran = check(path)
    assert ran.returncode == 0, ran.stdout


@needs_shellcheck
def test_shellcheck_would_find_something(tmp_path):
    path = tmp_path / 'faulty.sh'
    path.write_text('#!/usr/bin/env bash\ncd $1\nrm -r *\n')
    assert check(path).returncode == 1
