"""Fine-tuning in a benchmark: what is fitted on what, what is kept, and masks of whole tiles."""

import dataclasses
import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gair_jax.config import HeadConfig, InitConfig, InputError
from gair_jax.input.store import Store
from gair_jax.train import checkpoint, label_objective, loop
from gair_jax.transfer import benchmark, fit_settings, fitting, mask_benchmark, masks, scoring
from gair_jax.transfer.fit_settings import FitConfig
from gair_jax.transfer.fitting import Fit
from gair_jax.transfer.settings import TransferConfig
from tests.input import toy
from tests.train.tiny import tiny_config
from tests.transfer import labelled

ROWS = {'train': np.arange(16), 'val': np.arange(8)}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return labelled.write(tmp_path_factory.mktemp('labelled'))


def head(**changes):
    return HeadConfig(**{'label': 'kind', 'outputs': 4, 'features': ('sv',), **changes})


def fit_of(run, *, seed=0, params=None, rows=ROWS, **settings):
    config = fitting.configure(FitConfig(**settings), run, head(), 16, seed=seed)
    return Fit(config, params or {'sv': {'kernel': np.ones(3)}}, rows, {'build': 1})


def test_a_fit_reads_and_builds_only_what_its_features_come_from(run):
    started = dataclasses.replace(run, init=dataclasses.replace(run.init, rs='a checkpoint'))
    config = fit_of(started, batch=10, epochs=3.0, validate_every=0.5).config
    assert config.init == InitConfig()
    assert [getattr(config.model, s).enabled for s in ('rs', 'sv', 'location')] == [0, 1, 0]
    assert config.batch == 8  # ten rows on eight devices
    assert config.eval.every == config.checkpoint.every == 1  # half of two steps
    assert not config.input.augment and config.loss.objective == 'label'
    assert run.loss.objective == 'gair' and run.model.rs.enabled  # the checkpoint's is left alone


def test_what_is_kept_of_a_checkpoint():
    params = dict.fromkeys(('rs', 'nili', 'sv', 'location', 'projections', 'log_temperature'), 0)
    assert set(fitting.kept(params, head())) == {'sv'}
    assert set(fitting.kept(params, head(features=('rs', 'location')))) == {
        'rs', 'nili', 'location',
    }  # fmt: skip


def test_a_key_tells_everything_apart_that_answers_depend_on(run):
    answered = np.arange(4)
    key = fit_of(run).key(answered)
    assert fit_of(run).key(answered) == key
    others = [
        fit_of(run, seed=1).key(answered),
        fit_of(run, rate=1e-2).key(answered),
        fit_of(run, params={'sv': {'kernel': np.zeros(3)}}).key(answered),
        fit_of(run, rows={**ROWS, 'val': np.arange(7)}).key(answered),
        fit_of(run)._replace(data={'build': 2}).key(answered),
        fit_of(run).key(np.arange(5)),
    ]
    assert len({key, *others}) == 7


def test_what_was_fitted_answers_at_once_and_what_was_not_goes_on(run, tmp_path, monkeypatch):
    asked = []

    def train(config, workdir, *, given, rows, say):
        asked.append(workdir.name)
        (workdir / 'checkpoints').mkdir(parents=True, exist_ok=True)
        if len(asked) == 1:
            raise loop.StoppedError('SIGTERM')

    monkeypatch.setattr(loop, 'train', train)
    monkeypatch.setattr(checkpoint, 'load', lambda workdir: (None, {'head': 3}, {}))
    fit, answered = fit_of(run), np.arange(4)

    def call():
        return fitting.answers(
            fit, answered, tmp_path, lambda config, params: params['head'] + answered
        )

    with pytest.raises(loop.StoppedError):
        call()
    np.testing.assert_array_equal(call(), [3, 4, 5, 6])
    np.testing.assert_array_equal(call(), [3, 4, 5, 6])
    assert asked == [fit.key(answered)] * 2
    assert [path.name for path in (tmp_path / asked[0]).iterdir()] == ['answers.npy']


def test_values_are_given_in_the_units_of_the_label(run, monkeypatch):
    config = fitting.configure(
        FitConfig(), run, head(label='v', target='regression', outputs=3), 16, seed=0
    )
    config.head.mean, config.head.std = (1.0, 2.0, 3.0), (10.0, 20.0, 30.0)
    monkeypatch.setattr(label_objective, 'encode', lambda *a, **k: {})
    monkeypatch.setattr(
        label_objective, 'answers',
        lambda head, params, outputs: (jnp.broadcast_to(params, (config.batch, 3)), {}),
    )  # fmt: skip
    found = fitting.point_answers(config, jnp.ones(3), split='test', rows=np.arange(5), seed=0)
    np.testing.assert_allclose(found, np.tile([11.0, 22.0, 33.0], (5, 1)))


@pytest.fixture(scope='module')
def oblong(tmp_path_factory):
    """One tile of 40 x 40 and one of 24 x 24 pixels, whose mask is B05 modulo 5."""
    folder = tmp_path_factory.mktemp('oblong')
    dated = [toy.acquisition(0, 0), toy.acquisition(1, 0, side=24)]
    photos = [toy.photo(i, i, acquisitions=[i]) for i in range(2)]
    toy.write(folder, {'train': photos}, dated)
    config = tiny_config(folder, 'toy', 'tiny')
    config.loss.objective = 'label'
    config.head = head(label='cover', target='mask', outputs=5, features=('rs',))
    config.head.levels, config.head.channels = (0, 1), 4
    rs = config.input.rs
    rs.placement, rs.scaling, rs.jitter, rs.window, rs.size = 'anywhere', 'z_score', 0.0, 16, 16
    return config


def test_a_right_answer_a_pixel_is_right_on_whole_tiles(oblong, monkeypatch):
    def seen(head, params, outputs):
        stored = jnp.round(outputs['rs'][..., 3] * 500 + 1000).astype(jnp.int32)  # of the toy
        return jax.nn.one_hot((stored + params) % 5, 5), {}

    monkeypatch.setattr(
        label_objective, 'encode', lambda model, params, batch, **more: {'rs': batch['rs']}
    )
    monkeypatch.setattr(label_objective, 'answers', seen)
    rows = np.arange(2)
    right = masks.tile_confusions(oblong, 0, split='train', rows=rows, classes=5)
    assert sorted(right.sum(axis=(1, 2)).tolist()) == [24 * 24, 40 * 40]  # TFDS shuffles
    assert (right == right * np.eye(5, dtype=int)).all()
    wrong = masks.tile_confusions(oblong, 1, split='train', rows=rows, classes=5)
    assert not np.diagonal(wrong, axis1=1, axis2=2).any()


def test_pixels_of_a_class_are_counted_in_windows(oblong):
    found = masks.train_pixels(oblong, split='train', rows=np.arange(2), classes=5)
    assert found.sum() == 2 * 16 * 16 and (found > 0).all()


def test_scores_of_masks_are_those_of_their_summed_matrices():
    matrices = np.array([[[[5, 1], [2, 2]], [[0, 0], [1, 9]]]])  # predictions on rows
    exam = scoring.Exam('mask', ('ground', 'crop'), np.zeros((2, 1)), np.arange(2), 2, 'mIoU')
    found = scoring.mark(exam, matrices)
    # Summed: [[5, 1], [3, 11]]: class 0 has 5 of 9, class 1 has 11 of 15.
    assert found.value('mIoU') == pytest.approx((5 / 9 + 11 / 15) / 2)
    assert found.value('iou_1') == pytest.approx(11 / 15)
    assert found.value('accuracy') == pytest.approx(16 / 20)
    assert found.described['iou'] == pytest.approx({'ground': 5 / 9, 'crop': 11 / 15})
    floors = dict(mask_benchmark._floors(exam, matrices[0], np.array([[9, 1]])))
    assert floors['majority'].value('mIoU') == pytest.approx(8 / 20 / 2)
    assert floors['all_foreground'].value('iou_1') == pytest.approx(12 / 20)


@pytest.mark.slow
def test_every_task_is_fine_tuned_from_trained_and_from_random_parameters(run, tmp_path):
    settings = TransferConfig(
        data=run.data, protocols=('linear', 'frozen', 'full'), features=('sv+location', 'rs'),
        tasks=('kind', 'season'), seeds=1,
    )  # fmt: skip
    settings.fit = FitConfig(batch=8, epochs=1.0, channels=4)
    params = benchmark.gair.build(run).init(jax.random.key(5))
    found = benchmark.evaluate(settings, run, params, str(tmp_path / 'features'))
    assert [(e['task'], e['protocol'], e['features']) for e in found.entries] == [
        ('kind', 'linear', 'sv+location'), ('kind', 'linear', 'rs'),
        ('kind', 'full', 'sv+location'), ('kind', 'full', 'rs'), ('season', 'linear', 'rs'),
        ('season', 'frozen', 'rs'), ('season', 'full', 'rs'),
    ]  # fmt: skip
    for entry in found.entries:
        assert np.isfinite([entry['trained'], entry['random_init'], *entry['gain_interval']]).all()
    mask = found.entries[-1]
    assert mask['metric'] == 'mIoU' and mask['test_rows'] == 6
    assert set(mask['scores']) == {'trained', 'random_init', 'majority'}


@pytest.mark.parametrize(
    ('decoder', 'rate'), [('linear', 0.02), ('nonlinear', 0.02), ('upernet', 0.003)]
)
def test_a_probe_of_patches_has_a_rate_of_its_own(run, decoder, rate):
    settings = FitConfig(rate=0.003, probe_rate=0.02)
    made = head(target='mask', features=('rs',), decoder=decoder)
    assert fitting.configure(settings, run, made, 8, seed=0).optimizer.rate == rate
    assert fitting.configure(settings, run, head(), 8, seed=0).optimizer.rate == 0.003


@pytest.mark.slow
def test_few_labels_of_masks_are_fewer_tiles(run, tmp_path):
    settings = TransferConfig(
        data=run.data, protocols=('linear',), features=('rs',), tasks=('season',), seeds=2,
        shares=(0.5, 1.0), per_class=(3,),
    )  # fmt: skip
    settings.fit = FitConfig(batch=8, epochs=1.0)
    params = benchmark.gair.build(run).init(jax.random.key(5))
    half, whole, three = benchmark.evaluate(settings, run, params, str(tmp_path / 'f')).entries
    names = [entry['labels'] for entry in (half, whole, three)]
    assert names == ['50%', '100%', '3 a class']
    assert half['train_rows'] == round(whole['train_rows'] / 2) and three['train_rows'] == 3
    draws = [len(entry['trained_each']) for entry in (half, whole, three)]
    assert draws == [2, 1, 2]
    assert half['trained'] != whole['trained'] != three['trained']


@pytest.mark.slow
def test_full_fine_tuning_learns_what_is_in_the_pixels(tmp_path):
    # Photos are grey; the class says whether one is bright.
    def grey(number):
        return toy.photo(
            number, 0, photo=flat(40 + 160 * (number % 2)), acquisitions=[], tile=-1,
            labels={'kind': np.array(number % 2, np.int64)},
        )  # fmt: skip

    sizes = {'train': range(0, 32), 'val': range(32, 48), 'test': range(48, 80)}
    toy.write(tmp_path, {split: [grey(i) for i in ids] for split, ids in sizes.items()}, [])
    run = tiny_config(tmp_path, 'toy', 'tiny')
    config = fitting.configure(
        FitConfig(batch=16, epochs=15.0, rate=3e-3, encoder_rate=1.0), run, head(outputs=2), 32,
        seed=0,
    )  # fmt: skip
    rows = {split: np.arange(len(sizes[split])) for split in ('train', 'val')}
    test = np.arange(32)

    def answer(config, params):
        return fitting.point_answers(config, params, split='test', rows=test, seed=0)

    found = fitting.answers(Fit(config, {}, rows, {}), test, pathlib.Path(tmp_path), answer)
    truth = [int(photo.labels['kind']) for photo in Store(run.data).photos('test')]
    assert np.mean(found == truth) == 1


def flat(level):
    """A PNG of one grey with a little noise."""
    noise = np.random.default_rng(level).integers(-20, 20, (16, 16, 3))
    file = io.BytesIO()
    Image.fromarray((level + noise).astype(np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'batch': 0}, 'fit.batch: expected 1 or more, found 0'),
        ({'epochs': 0.0}, r'fit.epochs: expected more than 0, found 0\.0'),
        ({'rate': float('nan')}, 'fit.rate: expected more than 0'),
        ({'schedule': 'linear'}, 'fit.schedule: expected constant or cosine or steps, found'),
        ({'crops': 0}, 'fit.crops: expected 1 or more'),
        ({'encoder_rate': -0.1}, 'fit.encoder_rate: expected 0 or more'),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(InputError, match=said):
        fit_settings.check(FitConfig(**settings))
