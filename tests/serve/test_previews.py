"""The nine published cosines: other weights are told from the official ones."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from gair_jax import cli, sensors
from gair_jax.config import InputError
from gair_jax.models import gair
from gair_jax.report import conversion as report
from gair_jax.serve import previews
from gair_jax.serve.previews import PUBLISHED, Preview
from gair_jax.serve.weights import Origin, Weights
from gair_jax.train import checkpoint
from tests.models import small
from tests.shared import shared

NORM = 'rs_encoder.s2_encoder.transformer.norm_out'


def made_up(final_norm=False):
    config = small.config('release')
    config.model.rs.final_norm = final_norm
    params = small.drawn(gair.build(config).init)
    contracts = {
        'rs': sensors.CONTRACTS['sentinel2_10'],
        'sv': sensors.CONTRACTS['street_view_rgb'],
    }
    origin = Origin(path='x', source='gair_release', revision='', step=-1, sha256='')
    return Weights(config, params, contracts, origin)


def said(made):
    console = Console(file=io.StringIO(), width=140)
    report.previews(made, console)
    return console.file.getvalue()


@pytest.mark.slow
def test_the_three_triples_tell_drawn_weights_from_the_official_ones():
    rng = np.random.default_rng(0)
    carried = {f'{NORM}.{k}': rng.normal(size=16).astype(np.float32) for k in ('weight', 'bias')}
    made = previews.previews(made_up(), carried, shared('data/gair_examples'))
    assert [each.what for each in made] == ['final norm off', 'final norm on']
    for each in made:
        assert each.cosines.shape == (3, 3) and np.abs(each.cosines).max() <= 1
        assert len(np.unique(each.cosines.round(6))) == 9
        assert not each.official
    assert np.abs(made[0].cosines - made[1].cosines).max() > 0.01
    text = said(made)
    assert 'evidently not the official weights' in text and '/ 0.8335' in text


@pytest.mark.slow
def test_a_model_with_a_final_norm_is_tried_without_it():
    made = previews.previews(made_up(final_norm=True), {}, shared('data/gair_examples'))
    assert [each.what for each in made] == ['final norm on', 'final norm off']
    plain = previews.previews(made_up(), {}, shared('data/gair_examples'))
    assert [each.what for each in plain] == ['no final norm']
    # Both draw each leaf by its path, so without the norm they are the same model.
    np.testing.assert_allclose(made[1].cosines, plain[0].cosines, atol=1e-6)


def test_the_published_cosines_themselves_agree():
    near = Preview('final norm off', PUBLISHED + 0.004)
    assert near.official and near.difference == pytest.approx(0.004)
    assert 'agrees' in said([near]) and 'evidently' not in said([near])
    assert not Preview('x', PUBLISHED.T).official


def test_the_published_table_is_that_of_the_examples():
    """The copy of it in the readme beside the triples."""
    text = shared('data/gair_examples/README.md').read_text()
    rows = [line.split('|')[1:-1] for line in text.splitlines() if line.startswith('| ')]
    table = {cells[0].strip(): cells[1:] for cells in rows}
    stored = [[float(cell) for cell in table[city]] for city in previews.CITIES]
    np.testing.assert_array_equal(PUBLISHED, stored)


@pytest.mark.parametrize(
    ('table', 'words'),
    [
        (None, 'examples.csv: no such file'),
        ('id,lon,lat\ndetroit,-83.2,42.4\n', "found none of 'sacramento'"),
        ('id,lat\ndetroit,1\nsacramento,1\ntokyo,1\n', "found none of 'lon'"),
        ('id,lon,lat\ndetroit,east,1\nsacramento,1,1\ntokyo,1,1\n', 'found none of .*east'),
    ],
)
def test_a_folder_without_the_triples_is_refused(table, words, tmp_path):
    if table:
        (tmp_path / 'examples.csv').write_text(table)
    with pytest.raises(InputError, match=words):
        previews.previews(made_up(), {}, tmp_path)


def test_the_command_says_so_and_exits_with_1(tmp_path, capsys):
    pytest.importorskip('safetensors')
    made = made_up()
    checkpoint.write(
        tmp_path / 'ours', made.config, made.params, made.contracts, carried={}, origin={}
    )
    triples = str(shared('data/gair_examples'))
    command = ['convert', str(tmp_path / 'ours'), str(tmp_path / 'x.safetensors')]
    assert cli.main([*command, '--check-previews', triples]) == 1
    assert 'evidently not the official weights' in capsys.readouterr().out
    assert (tmp_path / 'x.safetensors').exists()


def test_a_model_without_photos_is_refused():
    made = made_up()
    config = dataclasses.replace(made.config)
    config.model.sv.enabled = False
    config.model.projections = ()
    without = {k: v for k, v in made.params.items() if k not in ('sv', 'projections')}
    with pytest.raises(InputError, match="expected a model with an encoder 'sv'"):
        previews.previews(
            made._replace(config=config, params=without), {}, shared('data/gair_examples')
        )
