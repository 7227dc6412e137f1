"""Benchmarks at the paper's size, each in a process of its own with one device."""

import json
import os
import subprocess
import sys

import pytest

from tests.shared import shared

pytestmark = pytest.mark.slow


def bench(*arguments):
    """The record and the table's log of `gair bench`, on one device and from the checkout."""
    ran = subprocess.run(
        [sys.executable, '-m', 'gair_jax.cli', 'bench', *arguments, '--json'],
        capture_output=True,
        text=True,
        env={**os.environ, 'XLA_FLAGS': ''},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_a_step_has_the_loss_of_the_shared_peer():
    pytest.importorskip('torch')
    found = bench('train', f'--peer={shared("peers/torch_gair.py")}', '--batch=2', '--steps=1')
    loss = found['first_loss']
    assert loss['ours'] == pytest.approx(loss['peer'], abs=1e-4)
    assert found['compilations_after_first_step'] == 0
    assert found['flops']['compiled'] == pytest.approx(found['flops']['from_sizes'], rel=0.03)
    assert found['ratio'] == pytest.approx(
        found['peer']['seconds'] / found['ours']['seconds'], rel=0.01
    )


def test_all_parts_give_one_verdict(config_file):
    found = bench('all', f'--config={config_file}', '--rounds=1')
    parts = {name: found[name] for name in ('train', 'input', 'loss', 'nili', 'embed')}
    assert {name: part['what'] for name, part in parts.items()} == {name: name for name in parts}
    slower = found['input']['triples_per_second'] < found['train']['ours']['per_second']
    assert (found['verdict']['by'] == 'input') == (
        slower or found['train']['verdict']['by'] == 'input'
    )
