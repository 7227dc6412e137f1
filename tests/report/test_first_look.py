import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gair_jax.config import BankConfig
from gair_jax.models import gair
from gair_jax.report import first_look
from gair_jax.train import checkpoint, memory_bank
from gair_jax.train.saver import Saver
from gair_jax.train.state import TrainState
from gair_jax.transfer.first_look import Effort
from gair_jax.transfer.tasks import Sizes
from tests.transfer import labelled

pytestmark = pytest.mark.slow

SMALL = Effort(photos=12, grid=4, sizes=Sizes(24, 8, 16, 6, 3, 6))


@pytest.fixture
def workdir(tmp_path):
    """A run whose checkpoint is drawn, not trained."""
    config = labelled.write(tmp_path / 'prepared')
    params = gair.build(config).init(jax.random.key(0))
    run = tmp_path / 'run'
    bank = memory_bank.create(BankConfig(size=0), 0, jax.random.key(0))
    saver = Saver(run, config, {})
    saver.save(TrainState(jnp.int32(1), params, {'count': jnp.int32(1)}, bank, {}))
    saver.close()
    line = {'step': 1, 'seconds': 7.5, 'loss': 2.0, 'incl': 1.0, 'secl': 2.0}
    (run / 'metrics.jsonl').write_text(json.dumps(line) + '\n')
    return run


def test_run_writes_summary_and_pictures_and_prints(workdir, tmp_path, capsys):
    out = tmp_path / 'out'
    found = first_look.run(workdir, out, effort=SMALL)
    names = {path.name for path in out.iterdir()}
    assert names == {'summary.json', 'heat_maps.png', 'retrieval.png', 'loss.png'}
    assert json.loads((out / 'summary.json').read_text()) == found
    assert found['steps'] == 1 and found['incl_last'] == 1.0
    assert found['seconds'] == pytest.approx(7.5 + found['first_look_seconds'], abs=0.06)
    assert 'synthetic data' in capsys.readouterr().out


def test_a_second_look_at_the_same_checkpoint_is_not_taken(workdir, tmp_path, monkeypatch, capsys):
    found = first_look.run(workdir, tmp_path / 'out', effort=SMALL)
    monkeypatch.setattr(checkpoint, 'load', None)
    assert first_look.run(workdir, tmp_path / 'out', effort=SMALL) == found
    assert 'Nothing has changed' in capsys.readouterr().out


def test_json_has_no_nan(tmp_path):
    first_look.write_json({'a': [math.nan, 1.0], 'b': {'c': math.inf}}, tmp_path / 's.json')
    assert json.loads((tmp_path / 's.json').read_text()) == {'a': [None, 1.0], 'b': {'c': None}}


def test_pictures_go_from_the_best_to_the_worst():
    values = np.random.default_rng(0).permutation(101)
    picked = values[first_look._spread(values)]
    assert picked.tolist() == [0, 20, 40, 60, 80, 100]
