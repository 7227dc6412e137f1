"""The command line: one sentence and exit code 2 for bad input, and a light start."""

import subprocess
import sys

import pytest

from gair_jax import cli, config_files
from gair_jax.config import InputError

CONFIG = 'configs/pretrain/quickstart.py'


def test_overrides_take_the_type_of_their_field():
    config = config_files.load(
        CONFIG,
        ['--config.batch=8', '--config.model.nili.hidden=(3,4)', '--config.input.augment=false'],
    )
    assert (config.batch, config.model.nili.hidden, config.input.augment) == (8, (3, 4), False)


def test_a_preset_is_chosen_after_a_colon():
    assert config_files.load('configs/pretrain/base.py:release', []).model.projections == ('sv',)
    with pytest.raises(InputError, match="found 'published'"):
        config_files.load('configs/pretrain/base.py:published', [])


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--config.optimizer.rat=1'], ['--config.optimizer.rat', 'no such setting']),
        (['--config.nothing.x=1'], ['--config.nothing.x', 'no such setting']),
        (['--config.batch=many'], ['--config.batch=many', 'invalid literal']),
        (['--config.optimizer.rate=fast'], ['--config.optimizer.rate=fast']),
        (['--config.model.nili.hidden=(8,wide)'], ['model.nili.hidden', 'tuple of int', 'wide']),
        (['--config.optimizer.rat=1'], ['did you mean rate?']),
        (['--batch=8'], ['--batch=8', 'expected --config.FIELD=VALUE']),
        (['batch'], ['batch', 'expected --config.FIELD=VALUE']),
    ],
)
def test_a_bad_override_is_one_sentence_that_names_it(arguments, words, tmp_path, capsys):
    code = cli.main(['train', f'--config={CONFIG}', f'--workdir={tmp_path / "run"}', *arguments])
    said = capsys.readouterr().err
    assert code == 2
    assert said.count('\n') == 1 and all(word in said for word in words), said
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('config.model.rs.pach = 8', ['config.model.rs.pach', 'did you mean patch?']),
        ('config.batch = "256"', ['config.batch', 'expected int', "'256'"]),
        ('config.input.augment = 1', ['config.input.augment', 'expected bool']),
        ('config.bank.size = True', ['config.bank.size', 'expected int', 'True']),
        ('config.model.rs = 3', ['config.model.rs', 'EncoderConfig']),
        ('config.model.nili.hidden = (8, "wide")', ['config.model.nili.hidden', 'tuple of int']),
    ],
)
def test_a_bad_setting_in_the_file_is_refused_as_on_the_command_line(line, words, tmp_path, capsys):
    head = 'from gair_jax.presets import paper\ndef get_config(text=""):\n    config = paper()\n'
    (tmp_path / 'made.py').write_text(f'{head}    {line}\n    return config\n')
    workdir = tmp_path / 'run'
    code = cli.main(['train', f'--config={tmp_path / "made.py"}', f'--workdir={workdir}'])
    said = capsys.readouterr().err
    assert code == 2
    assert said.count('\n') == 1 and all(word in said for word in words), said
    assert not workdir.exists()


def test_a_missing_config_file_is_named(tmp_path, capsys):
    assert cli.main(['train', '--config=nowhere.py', f'--workdir={tmp_path}']) == 2
    assert 'nowhere.py' in capsys.readouterr().err


VERBS = (
    'train first-look places geobias species convert embed query map search doctor export bench'
).split()


@pytest.mark.parametrize('verb', [*([verb] for verb in VERBS), ['data', 'build', 'photos']])
def test_help_teaches_by_example(verb):
    done = subprocess.run(
        [sys.executable, '-m', 'gair_jax.cli', *verb, '--help'], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert 'gair ' + verb[0] in done.stdout and 'example' in done.stdout


def test_help_loads_nothing_heavy():
    heavy = "{'jax', 'flax', 'grain', 'tensorflow_datasets', 'torch', 'matplotlib', 'orbax'}"
    code = (
        'import sys\nfrom gair_jax import cli\n'
        'try: cli.main(["train", "--help"])\nexcept SystemExit: pass\n'
        f'print(sorted({heavy} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == '[]'
