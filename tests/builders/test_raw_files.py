"""`gair data check NAME --root DIR`: which raw files a folder lacks, and where they are."""

import shutil

import pytest

from gair_jax import cli
from gair_jax.builders import known, raw_files
from gair_jax.config import InputError
from tests.builders import made, scenes
from tests.builders import test_eurosat_ms as eurosat_ms
from tests.builders import test_eurosat_rgb as eurosat_rgb
from tests.builders import test_street_views as street_views

HLS = made.HLS_NAME.format(day=2020001)


def streetscapes(root):
    street_views.write_manual(root)
    for name in ('perception', 'contextual'):
        (root / f'data/{name}.csv').write_text('')


# How the files of a set are made, and what is then taken away and must be named.
SETS = {
    'hls_burn_scars': (made.write_hls, f'training/{HLS}.mask.tif'),
    'ai4smallfarms': (made.write_farms, 'sentinel-2-asia/val/images/1.tif'),
    'crop_type_south_sudan': (made.write_crops, 'southsudan/truth/southsudan_000003.npz'),
    'global_streetscapes': (streetscapes, 'manual_labels/test/view_direction.csv'),
    'indicators': (street_views.write_indicators, 'p3.jpg'),
    'eurosat_rgb': (eurosat_rgb.write_source, 'Forest.zip'),
    'eurosat_ms': (eurosat_ms.write_source, 'River'),
}


@pytest.fixture(scope='module', params=SETS)
def whole(request, tmp_path_factory):
    """Name of a set, the folder of its files, and one that will be missing."""
    folder = tmp_path_factory.mktemp(request.param)
    write, lost = SETS[request.param]
    write(folder)
    return request.param, folder, lost


def check(name, root):
    return cli.main(['data', 'check', name, '--root', str(root)])


def test_a_whole_folder_lacks_nothing_and_an_empty_one_something(whole, tmp_path, capsys):
    name, folder, _ = whole
    assert check(name, folder) == 0
    assert capsys.readouterr().out == f'{folder}: every file of {name} is there.\n'
    assert check(name, tmp_path) == 1


def test_the_missing_file_is_named_with_its_origin(whole, tmp_path, capsys):
    name, folder, lost = whole
    shutil.copytree(folder, tmp_path / 'copy')
    path = tmp_path / 'copy' / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert check(name, tmp_path / 'copy') == 1
    lines = capsys.readouterr().out.splitlines()
    origin = next(entry.origin for entry in known.list_datasets() if entry.name == name)
    named = f'{path}/*.tif' if name == 'eurosat_ms' else path
    assert lines == [f'{named}: missing; origin: {origin}.']


def test_files_of_places_are_found_at_any_depth(tmp_path):
    assert check('nabirds', tmp_path) == 1
    (tmp_path / 'a/b').mkdir(parents=True)
    (tmp_path / 'a/b/nabirds_with_loc_2019.json').write_text('{}')
    assert check('nabirds', tmp_path) == 0


def test_images_without_masks_are_both_forms_where_there_is_none(tmp_path):
    lost = raw_files.missing('hls_burn_scars', tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in lost] == [
        'training/*_merged.tif', 'training/*.mask.tif',
        'validation/*_merged.tif', 'validation/*.mask.tif',
    ]  # fmt: skip


def test_every_set_of_published_files_has_its_form():
    without = {'synthetic_world', 'photos', 'labelled', 'streetscapes1m'}
    named = {entry.name for entry in known.list_datasets()} - without
    assert {*raw_files._FORMS, *raw_files._OF_PLACES} == named


@pytest.mark.parametrize(
    ('name', 'root', 'message'),
    [
        ('photos', '.', 'expected a data set of published files .*found photos'),
        ('nabirds', 'nowhere', 'nowhere: expected a folder of raw files, found none'),
    ],
)
def test_what_cannot_be_looked_for(tmp_path, name, root, message):
    with pytest.raises(InputError, match=message):
        raw_files.missing(name, tmp_path / root)


def test_a_list_that_cannot_be_used_is_refused(tmp_path, capsys):
    scenes.write_table(tmp_path / 'index.csv', [{'name': 'a'}])
    assert check('eurosat_rgb', tmp_path) == 2
    assert "with a column 'class'" in capsys.readouterr().err
