import numpy as np
import pytest
from sklearn.metrics import r2_score

from gair_jax.scores.intervals import paired_difference
from gair_jax.transfer import fusion
from gair_jax.transfer.scoring import Exam, mark


def _judged(task, features, answer, targets, metric='R2', protocol='linear'):
    groups = np.arange(len(targets)) // 4
    kind, names = ('regression', ('v',)) if targets.ndim > 1 else ('class', ('a', 'b'))
    exam = Exam(kind, names, targets, groups, int(groups.max()) + 1, metric)
    entry = {
        'task': task, 'kind': kind, 'features': features, 'labels': '100%', 'protocol': protocol,
        'metric': metric,
    }  # fmt: skip
    return fusion.Judged(entry, mark(exam, answer[None]))


@pytest.fixture
def judged(rng):
    """Joined features halve the error in two tasks of numbers; of classes they know less."""
    made = []
    for task in ('income', 'crime'):
        targets = rng.normal(size=(80, 1))
        noise = rng.normal(size=(80, 1))
        made.append(_judged(task, 'sv', targets + noise, targets))
        made.append(_judged(task, 'sv+rs', targets + noise / 2, targets))
    classes = rng.integers(2, size=80)
    made.append(_judged('view', 'sv', classes, classes, 'accuracy'))
    half = np.where(np.arange(80) % 2, classes, 1 - classes)
    return [*made, _judged('view', 'sv+rs', half, classes, 'accuracy')]


def test_the_gain_is_that_of_a_plain_paired_bootstrap(rng):
    targets, noise = rng.normal(size=(2, 80, 1))
    one, other = targets + noise / 2, targets + noise
    pair = [_judged('t', 'sv', other, targets), _judged('t', 'sv+rs', one, targets)]
    fusion.compare(pair)
    value, low, high = paired_difference(
        lambda rows: r2_score(targets[rows], one[rows]),
        lambda rows: r2_score(targets[rows], other[rows]),
        np.arange(80) // 4,
    )
    assert pair[1].entry['gain_over'] == {'sv': pytest.approx([low, value, high])}
    assert 'gain_over' not in pair[0].entry


def test_the_mean_is_over_tasks_of_numbers_and_worse_ones_are_named(judged):
    (line,) = fusion.compare(judged)
    gains = [one.entry['gain_over']['sv'] for one in judged if 'gain_over' in one.entry]
    assert line['gain'][1] == pytest.approx(np.mean([gain[1] for gain in gains[:2]]))
    assert line['gain'][0] < line['gain'][1] < line['gain'][2]
    assert (line['features'], line['over'], line['tasks']) == ('sv+rs', 'sv', ['income', 'crime'])
    assert line['worse'] == ['view'] and gains[2][1] == pytest.approx(-0.5)


def test_a_loss_within_its_interval_is_not_called_worse(rng):
    targets, noise = rng.normal(size=(2, 80, 1))
    other = rng.normal(size=(80, 1))
    other *= 1.02 * np.linalg.norm(noise) / np.linalg.norm(other)
    made = [
        _judged('t', 'sv', targets + noise, targets),
        _judged('t', 'sv+rs', targets + other, targets),
    ]
    (line,) = fusion.compare(made)
    low, value, high = made[1].entry['gain_over']['sv']
    assert low < value < 0 < high
    assert line['worse'] == []


def test_tasks_share_their_draws(judged, rng):
    """What one task gains another loses, in each draw: the mean has no width."""
    targets, noise = rng.normal(size=(2, 80, 1))
    better, worse = targets + noise / 2, targets + noise
    pairs = [('up', worse, better), ('down', better, worse)]
    made = [
        _judged(task, features, answer, targets)
        for task, alone, joined in pairs
        for features, answer in (('sv', alone), ('sv+rs', joined))
    ]
    (line,) = fusion.compare(made)
    assert line['gain'] == pytest.approx([0.0, 0.0, 0.0])
    assert line['worse'] == ['down']


def test_less_error_is_a_gain_too(rng):
    targets, noise = rng.normal(size=(2, 80, 1))
    made = [
        _judged('t', 'sv', targets + noise, targets, 'MAE'),
        _judged('t', 'sv+rs', targets + noise / 2, targets, 'MAE'),
    ]
    (line,) = fusion.compare(made)
    assert made[1].entry['gain_over']['sv'][0] > 0 and not line['worse']


def test_protocols_and_sides_that_were_not_probed_are_not_compared(rng):
    targets = rng.normal(size=(80, 1))
    alone = _judged('t', 'sv', targets, targets, protocol='nonlinear')
    joined = _judged('t', 'sv+rs', targets, targets)
    assert fusion.compare([alone, joined]) == []
