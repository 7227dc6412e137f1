"""What `gair data list` prints."""

import importlib

import pytest

from gair_jax import cli
from gair_jax.builders import known, listing


@pytest.fixture
def printed(tmp_path, capsys):
    (tmp_path / 'hls_burn_scars/mine_photos').mkdir(parents=True)
    assert cli.main(['data', 'list', '--data-dir', str(tmp_path)]) == 0
    return capsys.readouterr().out


def block(printed, heading):
    """The lines under a heading."""
    lines = printed.split('\n')
    start = lines.index(heading) + 1
    return lines[start : lines.index('', start)]


def test_every_task_of_the_paper_has_its_sets(printed):
    found = {
        task: [line.strip().partition(':')[0] for line in block(printed, task) if line[2] != ' ']
        for task in (*known.TASKS, listing.BESIDE)
    }
    assert found == {
        'burn scars': ['hls_burn_scars'],
        'field boundaries': ['ai4smallfarms'],
        'crop types': ['crop_type_south_sudan'],
        'indicators': ['indicators'],
        'perception': ['global_streetscapes'],
        'platform': ['global_streetscapes'],
        'view direction': ['global_streetscapes'],
        'species of a place': ['birdsnap', 'birdsnap_ebird', 'nabirds', 'inat2017', 'inat2018'],
        'numbers of a place': [
            f'mosaiks_{name}' for name in ('population', 'elevation', 'forest_cover', 'nightlights')
        ],
        'beside the nine tasks': [
            'synthetic_world', 'photos', 'labelled', 'eurosat_rgb', 'eurosat_ms',
            'streetscapes1m', 'yfcc', 'fmow',
        ],
    }  # fmt: skip


def test_a_set_that_is_built_names_builder_task_and_variants(printed):
    assert block(printed, 'burn scars') == [
        '  hls_burn_scars: 804 HLS scenes at 30 m with masks of burnt ground (tile)',
        '    builder hls_burn_scars, task burn_scars',
        '    gair data build hls_burn_scars --source=FOLDER',
        '    origin: ibm-nasa-geospatial/hls_burn_scars on the Hugging Face hub',
        '    prepared here: mine',
    ]
    assert 'task view_direction' in block(printed, 'view direction')[1]
    assert 'those of the paper are not public' in block(printed, 'indicators')[1]


def test_a_set_that_is_not_built_says_why_and_where_it_is(printed):
    lines = block(printed, 'numbers of a place')
    assert lines[1] == '    not built: no builder takes labels of places without a photo or tile'
    assert lines[2].startswith('    origin: TorchSpatial') and 'DOI 10.6084' in lines[2]


def test_the_sets_are_counted_against_the_papers(printed):
    """3 of tiles, Global Streetscapes, 10 indicators, 4 of species and 4 of numbers."""
    assert 3 + 1 + 10 + 4 + 4 == known.PAPER_COUNT
    sentence = ' '.join(printed.split('\n\n')[-1].split())
    assert 'counts 22 data sets' in sentence and 'once: 22. That' in sentence
    assert 'our reading' in sentence


def test_every_command_has_its_builder_and_every_set_an_origin():
    for dataset in known.list_datasets():
        assert dataset.origin and dataset.state
        assert {task for task, _ in dataset.tasks} <= set(known.TASKS)
        if dataset.command:
            assert dataset.command.startswith(f'gair data build {dataset.name} ')
            builder = importlib.import_module(f'gair_jax.builders.{dataset.name}.builder')
            assert callable(builder.build)
