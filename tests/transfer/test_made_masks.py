"""The made samples of the sets with masks, from raw files to scores, by every protocol."""

import json
import pathlib

import numpy as np
import pytest

from gair_jax import cli
from tests.builders import made
from tests.models import small
from tests.serve.conftest import saved

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETS = {
    'hls_burn_scars': (made.write_hls, 'burn_scars', 2),
    'ai4smallfarms': (made.write_farms, 'field_boundaries', 2),
    'crop_type_south_sudan': (made.write_crops, 'crop_type', 4),
}
PROTOCOLS = ['linear', 'nonlinear', 'frozen', 'full']

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint of the remote sensing encoder alone, 16 wide, over windows of 16 pixels."""
    config = small.config()
    config.model.sv.enabled = config.model.location.enabled = False
    config.input.rs.window = 16
    return saved(config, tmp_path_factory.mktemp('tiny') / 'checkpoint')


@pytest.mark.parametrize(
    ('name', 'merging'), [*((name, 'linear') for name in SETS), ('crop_type_south_sudan', 'ltae')]
)
def test_every_protocol_scores_a_made_sample(name, merging, checkpoint, tmp_path):
    write, task, classes = SETS[name]
    write(tmp_path / 'raw')
    build = ['data', 'build', name, f'--source={tmp_path}/raw', f'--data-dir={tmp_path}/prepared']
    assert cli.main(build) == 0
    command = [
        'transfer',
        f'--config={ROOT}/configs/transfer/pangaea.py',
        f'--checkpoint={checkpoint}',
        f'--out={tmp_path}/out',
        f'--config.protocols={tuple(PROTOCOLS)}',
        "--config.features=('rs',)",
        f'--config.data.dir={tmp_path}/prepared',
        f'--config.data.name={name}',
        f'--config.fit.merging={merging}',
        '--config.fit.epochs=1.0',
        '--config.fit.channels=4',
    ]
    assert cli.main(command) == 0
    store = made.opened(tmp_path / 'prepared', name)
    entries = json.loads((tmp_path / 'out/results.json').read_text())['results']
    assert [(entry['task'], entry['protocol']) for entry in entries] == [
        (task, protocol) for protocol in PROTOCOLS
    ]
    for entry in entries:
        assert (entry['train_rows'], entry['test_rows']) == (
            store.splits['train'],
            store.splits['test'],
        )
        assert 0 <= entry['trained'] <= 1 and np.isfinite(entry['random_init'])
        assert len(entry['scores']['trained']['iou']) == classes
    # A probe, a decoder and a trained encoder do not say the same.
    assert len({entry['trained'] for entry in entries}) > 1
