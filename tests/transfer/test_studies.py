"""Studies: which runs take part, what is compared with what, and what is refused."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from gair_jax import cli
from gair_jax.config import InputError
from gair_jax.geo.sphere import EARTH_RADIUS_M, great_circle_m, vmf_noise
from gair_jax.report import studies
from gair_jax.scores import geo_bias
from gair_jax.scores.geo_bias import SsiParameters
from gair_jax.transfer import benchmark, bias_study, noise_study, study, study_runs
from gair_jax.transfer.scoring import Hits
from gair_jax.transfer.settings import TransferConfig
from gair_jax.transfer.study import Measure
from tests.transfer import labelled, study_workdirs

CONFIG = 'configs/transfer/study.py'


@pytest.fixture(scope='module', autouse=True)
def by_rule():
    with labelled.drawn_by_rule():
        yield


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return labelled.write(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def sweep(config, tmp_path_factory):
    """Two seeds without noise, two of kappa 1; as a sweep leaves them."""
    folder = tmp_path_factory.mktemp('sweep')
    for seed in (0, 1):
        study_workdirs.write(folder / f'clean{seed}', config, seed=seed)
        study_workdirs.write(folder / f'noisy{seed}', config, seed=seed, kappa=1.0, shift=0.05)
    (folder / 'logs').mkdir()
    return folder


def settings(config, **changed):
    made = TransferConfig(data=dataclasses.replace(config.data), seeds=1, tasks=('kind', 'range'))
    made.features = ('location',)
    return dataclasses.replace(made, **changed)


A = Measure('task', 'rs', '100%', 'linear', 'R2')


def arms(**values):
    """Arms of one measure: values by seed."""
    return {arm: {seed: {A: value} for seed, value in own.items()} for arm, own in values.items()}


def test_the_mean_over_seeds_has_the_interval_of_a_t_test_and_the_change_is_paired():
    base, other = np.array([0.5, 0.6, 0.7]), np.array([0.42, 0.55, 0.63])
    runs = {'none': dict(enumerate(base)), 'some': dict(enumerate(other))}
    none, some = study.compare(arms(**runs), ('none',))
    expected = stats.ttest_1samp(base, 0).confidence_interval()
    assert [none.mean, none.low, none.high] == pytest.approx([base.mean(), *expected])
    assert none.over == '' and np.isnan(none.change)
    paired = stats.ttest_rel(other, base).confidence_interval()
    assert [some.change_low, some.change_high] == pytest.approx([*paired])
    # Unpaired, the interval would hold 0.
    assert some.high > none.low and some.change_high < 0


def test_one_checkpoint_is_held_against_every_seed_and_seeds_pair_only_with_their_own():
    one = study.compare(arms(before={7: 0.5}, after={0: 0.6, 1: 0.8}), ('before', 'after'))[1]
    assert one.change == pytest.approx(0.2) and one.n == 2
    two = study.compare(arms(none={0: 1.0, 1: 3.0}, some={1: 4.0, 2: 9.0}), ('none',))[1]
    assert two.change == pytest.approx(1.0) and np.isnan(two.change_low)
    assert two.mean == pytest.approx(6.5)


def test_every_arm_is_held_against_those_before_it():
    given = arms(before={0: 1.0}, control={0: 2.0}, after={0: 5.0})
    found = [(x.arm, x.over, x.change) for x in study.compare(given, bias_study.ARMS)]
    assert found[1:] == [
        ('control', 'before', 1.0), ('after', 'before', 4.0), ('after', 'control', 3.0),
    ]  # fmt: skip


def test_a_run_without_the_score_is_left_out():
    found = study.compare(arms(none={0: 1.0, 1: float('nan')}), ('none',))
    assert (found[0].n, found[0].mean) == (1, 1.0)


@pytest.mark.parametrize('kappa', [300.0, 100.0, 1.0])
def test_the_mean_way_of_noise_is_that_of_the_noise_that_training_draws(kappa):
    start = np.tile([20.0, 40.0], (20_000, 1))
    moved = great_circle_m(start, vmf_noise(start, kappa, np.random.default_rng(0))) / 1000
    error = moved.std() / np.sqrt(len(moved))
    assert noise_study.mean_km(kappa) == pytest.approx(moved.mean(), abs=4 * error)


def test_the_mean_way_of_weak_noise_is_rayleighs():
    rayleigh = EARTH_RADIUS_M / 1000 * np.sqrt(np.pi / 2 / 1e5)
    assert noise_study.mean_km(1e5) == pytest.approx(rayleigh, rel=1e-4)
    assert noise_study.mean_km(0.0) == 0


def test_the_newest_step_of_each_workdir_is_taken_not_the_best(sweep):
    runs = study_runs.find([str(sweep)])
    assert [run.name for run in runs] == ['clean0', 'clean1', 'noisy0', 'noisy1']
    assert {run.folder.parent.name for run in runs} == {'checkpoints'}
    assert {run.step for run in runs} == {6}
    assert study_runs.find([str(sweep / 'clean0')])[0].folder == runs[0].folder
    assert study_runs.find([str(sweep / 'clean0' / 'best' / '6')])[0].folder.parent.name == 'best'


def test_the_noise_study_scores_each_run_as_gair_transfer_does(sweep, config, tmp_path):
    given = settings(config)
    found = noise_study.evaluate(given, [str(sweep)], tmp_path)
    assert [arm.name for arm in found.arms] == ['none', '1 location']
    assert len(found.lines) == 2 * 2
    run = found.scored[0].run
    own, params, _ = study_runs.checkpoint.load(run.folder)
    expected = benchmark.evaluate(given, own, params, str(tmp_path / 'other'))
    scores = [entry['trained'] for entry in expected.entries]
    assert [entry['trained'] for entry in found.scored[0].entries] == pytest.approx(scores)
    line = next(x for x in found.lines if x.arm == 'none' and x.measure.task == 'range')
    each = [one.entries[1]['trained'] for one in found.scored[:2]]
    assert line.mean == pytest.approx(np.mean(each))


def test_a_study_goes_on_behind_its_last_run(sweep, config, tmp_path, monkeypatch):
    calls = []
    evaluate = benchmark.evaluate

    def counted(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*given)

    monkeypatch.setattr(benchmark, 'evaluate', counted)
    runs = study_runs.find([str(sweep / 'clean0'), str(sweep / 'noisy0')])
    with pytest.raises(KeyboardInterrupt):
        study_runs.evaluate(settings(config), runs, tmp_path)
    first = study_runs.evaluate(settings(config), runs, tmp_path)
    assert len(calls) == 2 + 1
    again = study_runs.evaluate(settings(config), runs, tmp_path)
    assert len(calls) == 3
    for one, two in zip(first, again, strict=True):
        assert one.entries == two.entries
        np.testing.assert_array_equal(one.hits[0].right, two.hits[0].right)
        assert two.hits[1] is None
    # Other settings are other scores.
    study_runs.evaluate(settings(config, train_rows=20), runs[:1], tmp_path)
    assert len(calls) == 4


def refused(call, sentence):
    with pytest.raises(InputError) as error:
        call()
    assert sentence in str(error.value)


BAD_NOISE = {
    'no clean run': (lambda s: [s / 'noisy0'], 'expected runs without noise'),
    'clean runs alone': (lambda s: [s / 'clean0', s / 'clean1'], 'kappa 0 alone'),
    'a run twice': (lambda s: [s, s / 'clean0'], 'expected each run once'),
    'no such folder': (lambda s: [s / 'absent'], 'no such workdir'),
    'a folder without runs': (lambda s: [s / 'logs'], 'found no checkpoint in it'),
}


@pytest.mark.parametrize('case', BAD_NOISE)
def test_runs_that_cannot_be_a_noise_study_are_refused(case, sweep, config, tmp_path):
    paths, sentence = BAD_NOISE[case]
    given = [str(path) for path in paths(sweep)]
    refused(lambda: noise_study.evaluate(settings(config), given, tmp_path / 'out'), sentence)
    assert not (tmp_path / 'out').exists()


def odd(folder, config, **changed):
    """A run that does not fit: other settings, another step, or the seed of another."""
    made = dataclasses.replace(config, **{k: v for k, v in changed.items() if k == 'batch'})
    own = {k: v for k, v in changed.items() if k != 'batch'}
    return study_workdirs.write(folder, made, **{'seed': 5, **own})


@pytest.mark.parametrize(
    ('changed', 'sentence'),
    [
        ({'batch': 8}, 'config.batch was 4, now 8'),
        ({'step': 3}, 'expected a finished run, found step 3 of 6'),
        ({'step': 9}, 'expected step 6, which clean0 has reached, found 9'),
        ({'seed': 1}, 'found seed 1 in clean1 too'),
        ({'sample': 'x.json'}, "data.sample was '', now 'x.json'"),
    ],
)
def test_a_run_that_does_not_fit_the_others_is_refused(changed, sentence, sweep, config, tmp_path):
    path = odd(tmp_path / 'odd', config, **changed)
    given = [str(sweep), path]
    refused(lambda: noise_study.evaluate(settings(config), given, tmp_path / 'out'), sentence)


def test_a_data_set_that_is_not_there_is_refused_before_a_run_is_loaded(sweep, config, tmp_path):
    made = settings(config)
    made.data.variant = 'absent'
    refused(lambda: noise_study.evaluate(made, [str(sweep)], tmp_path / 'out'), 'no data set toy')
    assert not (tmp_path / 'out').exists()


def given_data(config):
    return [
        f'--config.data.{n}={v}'
        for n, v in vars(config.data).items()
        if n in ('dir', 'name', 'variant')
    ] + ['--config.seeds=1', "--config.features=('location',)"]


def test_gair_study_noise_writes_a_row_a_run_and_a_line_an_arm(sweep, config, tmp_path, capsys):
    verb = ['study', 'noise', str(sweep), f'--config={CONFIG}', f'--out={tmp_path / "out"}']
    assert cli.main([*verb, *given_data(config), "--config.tasks=('kind','range')"]) == 0
    with (tmp_path / 'out/results.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2
    assert {row['arm'] for row in rows} == {'none', '1 location'}
    told = json.loads((tmp_path / 'out/summary.json').read_text())
    assert len(told['lines']) == 4 and told['settings']['seeds'] == 1
    assert (tmp_path / 'out/noise.png').stat().st_size > 5000
    said = ' '.join(capsys.readouterr().out.split())
    assert 'Noise on positions, toy/tiny' in said and 'Student t' in said


BAD_ARGUMENTS = {
    'an unknown task': (["--config.tasks=('none',)"], "found 'none'"),
    'an unknown setting': (['--config.nosuch=1'], 'no such setting'),
    'an encoder that is not there': (["--config.features=('nosuch',)"], "found 'nosuch'"),
}


@pytest.mark.parametrize('case', BAD_ARGUMENTS)
def test_bad_settings_end_with_code_2(case, sweep, config, tmp_path, capsys):
    more, sentence = BAD_ARGUMENTS[case]
    verb = ['study', 'noise', str(sweep), f'--config={CONFIG}', f'--out={tmp_path / "out"}']
    assert cli.main([*verb, *given_data(config), "--config.tasks=('kind',)", *more]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'out/results.csv').exists()


@pytest.fixture(scope='module')
def trained_on(config, tmp_path_factory):
    """A checkpoint, two runs that went on on other places, two that did not."""
    folder = tmp_path_factory.mktemp('debias')
    study_workdirs.write(folder / 'start', config, seed=3)
    for seed in (0, 1):
        for name, shift in (('even', 0.1), ('cities', 0.02)):
            study_workdirs.write(
                folder / name / f'seed{seed}', config, seed=seed, shift=shift, sample=f'{name}.json'
            )
    return folder


def debias(folder, config, out, *more, control=True, tasks="('kind','range')"):
    verb = ['study', 'debias', '--before', str(folder / 'start'), '--after', str(folder / 'even')]
    verb += ['--control', str(folder / 'cities')] if control else []
    verb += [f'--config={CONFIG}', f'--out={out}', '--radius-km=2', *given_data(config)]
    return cli.main([*verb, f'--config.tasks={tasks}', *more])


def test_gair_study_debias_holds_after_against_before_and_control(
    trained_on, config, tmp_path, capsys
):
    assert debias(trained_on, config, tmp_path / 'out') == 0
    told = json.loads((tmp_path / 'out/summary.json').read_text())
    assert 'within 2 km' in told['geo_bias'] and 'within 2 km' in capsys.readouterr().out
    marked = [line for line in told['lines'] if line['measure'] == bias_study.MARKED]
    assert [(x['arm'], x['over']) for x in marked] == [
        ('before', ''), ('control', 'before'), ('after', 'before'), ('after', 'control'),
    ]  # fmt: skip
    plain = [x['mean'] for x in told['lines'] if x['measure'] == bias_study.UNMARKED]
    assert len(plain) == 1  # of the places alone, the same in all arms
    assert {x['measure'] for x in told['lines']} >= {'accuracy', 'R2'}
    for name in ('debias.png', 'maps.png'):
        assert (tmp_path / 'out' / name).stat().st_size > 5000


def test_without_control_and_without_classes_there_are_no_maps(
    trained_on, config, tmp_path, capsys
):
    out = tmp_path / 'out'
    assert debias(trained_on, config, out, control=False, tasks="('range',)") == 0
    assert 'No maps' in capsys.readouterr().out
    assert not (tmp_path / 'out/maps.png').exists()


def test_geo_bias_is_that_of_the_right_and_wrong_answers_of_a_run():
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(0, 1, 60), rng.uniform(50, 51, 60)], axis=-1)
    right = lonlat[:, 0] > 0.5  # as clustered as can be
    parameters = SsiParameters(radius_km=60)
    found = bias_study.bias(A, Hits(lonlat, np.arange(60), right[None]), parameters)
    expected = geo_bias.ssi(lonlat, geo_bias.plus_minus(right), parameters)
    np.testing.assert_array_equal(found.marked.score, expected.score)
    mixed = bias_study.bias(
        A, Hits(lonlat, np.arange(60), rng.permutation(right)[None]), parameters
    )
    assert found.marked.mean > mixed.marked.mean
    np.testing.assert_array_equal(found.unmarked.score, mixed.unmarked.score)


def test_the_bias_over_runs_leaves_out_what_is_not_defined():
    def scored(*values):
        n = np.ones(len(values), int)
        marked = geo_bias.CentreScores('', np.array(values, np.float64), n)
        return [bias_study.Bias(A, None, marked, marked)]

    nan = float('nan')
    found = bias_study.over_runs([scored(1, nan, nan), scored(3, 5, nan)], A)
    np.testing.assert_array_equal(found, [2, 5, nan])


@pytest.mark.parametrize(
    ('arms', 'sentence'),
    [
        ({'control': ['even']}, 'expected another data.sample'),
        ({'after': ['start', 'even/seed0']}, 'data.sample was'),
        ({'after': ['even/seed0', 'even/seed0']}, 'expected each run once'),
        ({'before': ['nowhere']}, 'no such workdir'),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(arms, sentence, trained_on, config, tmp_path):
    given = {'before': ['start'], 'control': ['cities'], 'after': ['even'], **arms}
    paths = {arm: [str(trained_on / name) for name in names] for arm, names in given.items()}
    call = lambda: bias_study.evaluate(settings(config), SsiParameters(), paths, tmp_path)  # noqa: E731
    refused(call, sentence)


def test_a_radius_that_is_none_is_refused(trained_on, config, tmp_path, capsys):
    assert debias(trained_on, config, tmp_path / 'out', '--radius-km=0') == 2
    assert 'radius_km: expected more than 0' in capsys.readouterr().err


def test_what_is_printed_marks_changes_that_are_sure():
    text = io.StringIO()
    runs = arms(none={0: 0.5, 1: 0.6}, some={0: 0.4, 1: 0.5001}, same={0: 0.4, 1: 0.5})
    lines = study.compare(runs, ('none',))
    studies.print_lines(lines, 'Title', Console(file=text, width=120))
    rows = [line for line in text.getvalue().splitlines() if '±' in line]
    assert [' *' in row for row in rows] == [False, True, False]
    assert 'task (R2)' in rows[0] and 'task' not in rows[1]


def test_a_figure_is_spelt_with_half_its_interval():
    nan = float('nan')
    assert studies.spelt(0.5, 0.4, 0.6) == '0.500 ± 0.100'
    assert studies.spelt(0.5, nan, nan) == '0.500'
    assert studies.spelt(nan, 0.0, 0.0) == ''
