"""Where the project's shared reference material lies, when it lies beside the checkout."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2] / 'shared'


def shared(relative: str) -> pathlib.Path:
    """The path of `relative` in the shared folder; skips the calling test where it is absent."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f'{relative} is not beside this checkout')
    return path
