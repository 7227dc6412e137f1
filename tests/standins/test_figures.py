"""The script of the builder's figures at a tiny size, where what is counted must hold.

No speed is asserted: only that there is one. Equality, refusals and bytes hold at any size.
"""

import json
import math
import operator
import secrets

import pytest

from tests.standins import child, figures, made_builds
from tests.standins.figure import TINY, Figure, table


@pytest.mark.parametrize(
    ('bounds', 'value', 'to_pass', 'verdict'),
    [
        ({'least': 20}, 20.0, '>= 20', 'pass'),
        ({'least': 20}, 19.99, '>= 20', 'FAIL'),
        ({'most': 1.1}, 1.1, '<= 1.1', 'pass'),
        ({'most': 1.1}, 1.11, '<= 1.1', 'FAIL'),
        ({'least': 0, 'most': 0}, 0, '0', 'pass'),
        ({'least': 0, 'most': 0}, 1, '0', 'FAIL'),
        ({'least': 0, 'most': 0}, -1, '0', 'FAIL'),
        ({'least': 1, 'most': 2}, 1.5, '>= 1 <= 2', 'pass'),
        ({'least': 20}, math.nan, '>= 20', 'FAIL'),
        ({'most': 20}, math.nan, '<= 20', 'FAIL'),
        ({}, 5.0, '', 'told'),
    ],
)
def test_a_figure_passes_within_its_bounds(bounds, value, to_pass, verdict):
    figure = Figure('check', value, **bounds)
    assert (figure.to_pass, figure.verdict) == (to_pass, verdict)


def test_the_table_says_what_was_measured_and_numbers_its_notes():
    rows = [
        Figure('photos', 164.3, 'a second', least=100, note='Two cores.'),
        Figure('photos', 164.3, 'a second', least=100, note='Four cores.'),
        Figure('bytes', 12345.6, most=1e4),
    ]
    assert table(rows).splitlines() == [
        'check       measured      to pass',
        'photos [1]  164 a second  >= 100    pass',
        'photos [2]  164 a second  >= 100    pass',
        'bytes       12,346        <= 1e+04  FAIL',
        '',
        '[1] Two cores.',
        '[2] Four cores.',
    ]


@pytest.mark.parametrize(('value', 'code'), [(1.0, 0), (3.0, 1)])
def test_the_exit_code_is_1_if_a_figure_fails(tmp_path, monkeypatch, capsys, value, code):
    made = [Figure('told', 7.0), Figure('asked', value, 'of 2', most=2)]
    monkeypatch.setattr(figures, 'CHECKS', {'one': lambda folder, sizes: iter(made)})
    path = tmp_path / 'figures.json'
    assert figures.main(['--json', str(path)]) == code
    assert ('FAIL' in capsys.readouterr().out) == bool(code)
    rows = json.loads(path.read_text())['figures']
    assert [row['verdict'] for row in rows] == ['told', 'FAIL' if code else 'pass']
    assert rows[1]['value'] == value and rows[1]['most'] == 2 and rows[1]['least'] is None


def test_a_check_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit) as error:
        figures.main(['--only', 'windows,gold'])
    assert error.value.code == 2
    assert 'expected windows, cold' in capsys.readouterr().err


def test_a_process_of_its_own_tells_its_own_memory():
    held = b'x' * 300_000_000  # of the parent: none of the child's
    small, large = (child.run(secrets.token_hex, size) for size in (2, 50_000_000))
    assert (len(small.answer), len(large.answer)) == (4, 100_000_000)
    # At the end 2 bytes are there for each of 100,000,000 digits: as bytes and as text.
    assert 180e6 <= large.peak - small.peak <= 220e6 and small.peak < len(held) / 4
    assert child.peak() >= len(held)
    with pytest.raises(RuntimeError, match='_operator:truediv ended with 1'):
        child.run(operator.truediv, 1, 0)


def hold(name, tmp_path):
    """Figures of a check, all of which must be numbers, and pass unless they are of time."""
    found = list(figures.measured([name], TINY, tmp_path))
    for figure in found:
        assert math.isfinite(figure.value) and figure.value >= 0, figure
        assert figure.verdict != 'FAIL' or figure.unit.endswith('a second'), figure
    return [figure.value for figure in found]


def test_scenes_cost_what_they_should_over_the_line(tmp_path):
    assert len(hold('cold', tmp_path)) == 4


def test_a_tile_is_read_once_a_date(tmp_path):
    assert hold('once', tmp_path) == [pytest.approx(1, abs=0.05)]


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in figures.CHECKS if name not in ('cold', 'once')])
def test_every_other_check_runs(tmp_path, name):
    assert hold(name, tmp_path)


def test_a_made_table_is_as_large_as_asked_for_and_is_planned_whole(tmp_path):
    assert made_builds.table(tmp_path, 3, 5) == 15
    counts = made_builds.planned(tmp_path)
    assert (counts['planned'], counts['cities'], counts['tiles']) == (15, 3, 3)
    # Of all cities of the lattice none lies where coordinates are refused.
    made_builds.table(tmp_path / 'all', 688, 2)
    assert made_builds.planned(tmp_path / 'all')['planned'] == 1376
