"""`gair bench compile` where it can be tried everywhere: for the CPU, and its arithmetic."""

import json

import jax
import pytest

from gair_jax import cli, presets
from gair_jax.bench import compile as compiling
from gair_jax.bench import roofline, target
from gair_jax.bench.hlo import ArrayShape, Instruction
from gair_jax.bench.kernels import Kernel
from gair_jax.config import InputError
from gair_jax.models import gair
from tests.models import small

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def found():
    made = small.config()
    made.batch, made.bank.size = 4, 6
    return compiling.counted(made, 'cpu')


def test_a_step_for_the_cpu_has_the_flops_of_its_sizes(found):
    # More where bank and batch are padded; less where a product is so small that XLA spells it out.
    assert found['compiled_flops'] == pytest.approx(found['model_flops'], rel=0.25)
    assert found['kernels'] == sum(c['kernels'] for c in found['counts'].values())
    assert found['counts']['other']['bytes'] > 0 and not found['counts']['other']['flops']
    assert found['counts']['attention'] == {'kernels': 0, 'bytes': 0, 'flops': 0}
    assert found['predicted'] == []  # no rates of a CPU are assumed


def test_the_state_is_updated_in_place(found):
    # Parameters and two moments in float32, of a model with this many numbers.
    model = gair.build(small.config())
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    numbers = sum(x.size for x in jax.tree.leaves(shapes))
    assert found['donated_bytes'] > 3 * 4 * numbers


def kernel(kind, moved, flops=0, number='bf16', times=1):
    line = Instruction('k', 'fusion', (ArrayShape('bf16', (2,), (0,)),), (), '', '')
    return Kernel(line, times, kind, moved, flops, number)


RATES = target.Rates(1000.0, {'bf16': 100.0, 'tf32': 50.0, 'f32': 10.0}, 20.0, 10.0)


@pytest.mark.parametrize(
    ('each', 'share', 'seconds'),
    [
        (kernel('product', 10, 500), 1.0, 5.0),
        (kernel('product', 10, 500), 0.5, 10.0),
        (kernel('product', 100, 500), 1.0, 10.0),
        (kernel('product', 10, 500, 'f32'), 1.0, 50.0),
        (kernel('attention', 10, 500), 0.5, 25.0),
        (kernel('other', 10, times=3), 0.5, 3.0),
    ],
)
def test_a_kernel_takes_the_longer_of_its_flops_and_its_bytes(each, share, seconds):
    assert roofline.seconds([each], RATES, share)[each.kind] == pytest.approx(seconds)


def test_the_mfu_counts_the_model_s_flops_alone():
    rows = roofline.predicted([kernel('product', 0, 200), kernel('other', 20)], RATES, 8, 150)
    assert [row['share'] for row in rows] == list(roofline.SHARES)
    # 2 s of products and 2 s of moving: 8 triples in 4 s, 150 FLOPs of a possible 400 or 4000.
    assert rows[0]['seconds'] == 4.0 and rows[0]['triples_per_second'] == 2.0
    assert rows[0]['mfu_of_measured_product'] == 0.375 and rows[0]['mfu_of_peak'] == 0.0375


def test_the_command_prints_a_table_or_an_object(capsys, tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text(
        'from tests.models import small\n\ndef get_config():\n'
        '    made = small.config()\n    made.bank.size = 6\n    return made\n'
    )
    command = ['bench', 'compile', '--target=cpu', f'--config={path}', '--batch=4']
    assert cli.main([*command, '--json', '--config.model.rolled=True']) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found['what'] == 'compile' and found['batch'] == 4 and found['dtype'] == 'float32'
    assert found['sizes']['overrides'] == ['--config.model.rolled=True']
    said = compiling.table(found)
    assert 'A training step of 4 triples in float32, compiled for cpu; nothing was run.' in said
    assert 'Predicted' not in said


def test_predictions_are_called_so_and_say_what_they_rest_on():
    row = {
        'share': 0.9, 'seconds': 0.1, 'triples_per_second': 2560.0,
        'mfu_of_measured_product': 0.5, 'mfu_of_peak': 0.4,
    }  # fmt: skip
    found = {
        'sizes': {'target': 'h200'}, 'batch': 256, 'dtype': 'bfloat16', 'predicted': [row],
        'counts': {'other': {'kernels': 3, 'bytes': 2e9, 'flops': 0}}, 'temporary_bytes': 1e9,
        'donated_bytes': 1e9, 'compiled_flops': 3e12, 'model_flops': 2e12, 'batch_innermost': ['x'],
        'attention_calls_per_layer': 2.0, 'optimizer_kernels': 5, 'parameter_leaves': 4,
    }  # fmt: skip
    said = compiling.table(found)
    assert 'Predicted, where products run at a share of 789 TFLOP/s' in said
    assert '100.0' in said and '2560' in said and '50.0%' in said and '40.0%' in said
    assert '1.500 x' in said and 'innermost: x' in said


def test_without_the_plugin_one_sentence_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setattr(target, '_plugin', lambda: -1)
    assert cli.main(['bench', 'compile']) == 2
    said = capsys.readouterr().err
    assert said.count('\n') == 1 and "pip install 'jax[cuda13]'" in said and 'no GPU' in said


def test_overrides_need_a_file_that_they_change():
    sizes = compiling.Sizes(target='cpu', overrides=('--config.batch=3',))
    with pytest.raises(InputError, match='--config.batch=3: expected --config=FILE'):
        compiling.bench(sizes)


def test_by_default_it_is_the_paper_s_step_in_bfloat16():
    made = compiling.settings(compiling.Sizes())
    paper = presets.paper()
    paper.model.dtype = 'bfloat16'
    assert made == paper and made.batch == 256
    made = compiling.settings(compiling.Sizes(batch=8, dtype='float32'))
    assert (made.batch, made.model.dtype) == (8, 'float32')
