"""What may be wrong with benchmark data and settings: one sentence, exit code 2, nothing left."""

import json
import pathlib

import numpy as np
import pytest

from gair_jax import cli
from gair_jax.builders import labelled
from tests.builders import made, scenes
from tests.builders import test_eurosat_ms as eurosat_ms
from tests.builders.test_street_views import (
    change,
    drop_column,
    write_indicators,
    write_manual,
    write_perception,
)
from tests.models import small
from tests.serve.conftest import saved
from tests.transfer.labelled import drawn_by_rule

LINEAR = pathlib.Path(__file__).resolve().parents[2] / 'configs/transfer/linear.py'
SPLITS = ['train'] * 3 + ['val'] * 2 + ['test'] * 2


def write_own(root):
    """Seven photos with tiles, two classes, a number and a mask each."""
    rows = scenes.write_set(root, tiles=7, photos=1)
    for number, (row, split) in enumerate(zip(rows, SPLITS, strict=True)):
        row.update(use='ab'[number % 2], age=number, split=split, cover=f'm{number}.tif')
        mask = np.random.default_rng(number).integers(0, 2, (1, 20, 24)).astype(np.uint8)
        scenes.write_tile(root / f'm{number}.tif', mask, names=(), nodata=None)
    scenes.write_table(root / 'own.csv', rows)


def write_chips(root):
    """A chip a class, and lists of their splits."""
    eurosat_ms.one_each(root)


def write_crops(root):
    made.write_crops(root)


def write_hls(root):
    made.write_hls(root, training=2, validation=1)


def write_farms(root):
    made.write_farms(root)


def edit(column, value, row=-1):
    """Another value in own.csv."""
    return lambda root: change(root / 'own.csv', column, value, row)


def each(column, value):
    """The same value in all rows of own.csv."""
    return lambda root: [edit(column, value, row)(root) for row in range(len(SPLITS))]


def mask_of(shape, value=0):
    """A mask of that shape in the place of the second."""
    values = np.full((1, *shape), value, np.uint8)
    return lambda root: scenes.write_tile(root / 'm1.tif', values, names=(), nodata=None)


def without(path):
    return lambda root: (root / path).unlink()


def first_mask(root):
    return sorted((root / 'training').glob('*.mask.tif'))[0]


OWN = (write_own, ('labelled', '--source=own.csv'))
PERCEPTION = ('global_streetscapes', '--labels=perception', '--source=.', '--images=img')
STREETS = (write_perception, PERCEPTION)
CHIPS = (write_chips, ('eurosat_ms', '--source=tif', '--splits=eurosat-'))
HLS = (write_hls, ('hls_burn_scars', '--source=.'))
FARMS = (write_farms, ('ai4smallfarms', '--source=.'))
CROPS = (write_crops, ('crop_type_south_sudan', '--source=.'))
INDICATORS = (write_indicators, ('indicators', '--source=.'))
USE, AGE = ('--target=use',), ('--target=age', '--kind=regression')
COVER = ('--target=cover', '--kind=mask', '--classes=a,b', '--max-failed=0')
SOUND = [
    (OWN, USE), (OWN, AGE), (OWN, COVER), (STREETS, ()), (CHIPS, ()), (HLS, ()), (FARMS, ()),
    (CROPS, ()), (INDICATORS, ()),
]  # fmt: skip

# The files and what builds them, the fault, further options, and words of the one sentence.
BUILDS = {
    'label column missing': (OWN, None, ('--target=no',), ("own.csv: column 'no' is missing",)),
    'no target': (OWN, None, (), ('own.csv: expected a target',)),
    'no table': (OWN, without('own.csv'), USE, ('own.csv', 'no such table')),
    'empty table': (OWN, lambda r: (r / 'own.csv').write_text('photo,use\n'), USE, ('no rows',)),
    'class not in the list': (OWN, None, (*USE, '--classes=a'), ('expected one of a', "found 'b'")),
    'number in words': (OWN, edit('age', 'old'), AGE, ("found 'old' in row 7",)),
    'nan targets': (OWN, each('age', ''), AGE, ('target age: expected values in train',)),
    'ids twice': (OWN, each('id', 'x'), USE, ('6 of 7 rows', 'id not unique: x')),
    'unknown split': (OWN, each('split', 'dev'), USE, ('7 of 7 rows', "found 'dev'")),
    'share out of range': (OWN, None, (*USE, '--max-failed=1.5'), ('max_failed', 'found 1.5')),
    'photos missing': (
        OWN, each('photo', 'no.jpg'), USE, ('7 of 7 rows', 'at most 20% may fail', 'no.jpg')
    ),
    'photo unreadable': (
        OWN, lambda r: (r / 'photos/p2_0.jpg').write_bytes(b'x'), (*USE, '--max-failed=0.1'),
        ('1 of 7 rows', 'p2_0.jpg is no JPEG or PNG'),
    ),
    'mask of another size': (OWN, mask_of((8, 9)), COVER, ('1 of 7', '20 x 24', 'found 1 of 8')),
    'mask out of range': (OWN, mask_of((20, 24), 5), COVER, ('a class of 0, 1', 'found 5')),
    'bands not of the contract': (
        OWN, lambda r: scenes.write_tile(r / 'tiles/t1.tif', scenes.pixels(3), names=()),
        (*USE, '--max-failed=0'), ('1 of 7 rows', 'found 3 bands'),
    ),
    'unknown contract': (OWN, None, (*USE, '--sensor=landsat'), ('sensor', "found 'landsat'")),
    'unknown variant': (OWN, None, (*USE, '--variant=a/b'), ('variant', "found 'a/b'")),
    'list of a split missing': (CHIPS, without('eurosat-val.txt'), (), ('eurosat-val.txt',)),
    'empty class': (CHIPS, without('tif/River/River_1.tif'), (), ('tif/River', 'found none')),
    'score out of range': (
        STREETS, lambda r: change(r / 'data/perception.csv', 'Safe', '11'), (),
        ('column Safe', 'from 0 to 10', 'found 11'),
    ),
    'table missing': (STREETS, without('data/simplemaps.csv'), (), ('simplemaps.csv',)),
    'unknown label': (
        (write_manual, (*PERCEPTION[:1], '--labels=manual', *PERCEPTION[2:])),
        lambda r: change(r / 'manual_labels/test/platform.csv', 'platform', 'roof'), (),
        ("found 'roof'",),
    ),
    'city missing': (
        INDICATORS, lambda r: drop_column(r / 'images.csv', 'city'), (), ("'city' is missing",)
    ),
    'infinite target': (
        INDICATORS, lambda r: change(r / 'allparameters.csv', 'sky', 'inf'), (),
        ('column sky', 'found inf'),
    ),
    'mask without an image': (HLS, lambda r: first_mask(r).unlink(), (), ('lacks a mask',)),
    'mask of the scene out of range': (
        HLS, lambda r: made.write_tif(first_mask(r), np.full((1, 32, 32), 7, np.int16)), (),
        ('expected a class of 0, 1, -1', 'found 7'),
    ),
    'bands of a tile': (
        FARMS,
        lambda r: made.write_tif(
            r / 'sentinel-2-asia/val/images/0.tif', made.farms_image(0, bands=5)
        ),
        (), ('expected 4 or 10 bands', 'found 5'),
    ),
    'partition out of range': (
        CROPS, lambda r: change(r / 'southsudan/list_eval_partition.csv', 'partition', '3'), (),
        ('row 6', "found '3'"),
    ),
}  # fmt: skip


def refused(command, capsys, words):
    """One sentence with these words, and exit code 2."""
    capsys.readouterr()
    assert cli.main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith('gair: ') and said.endswith('.\n') and said.count('\n') == 1, said
    for word in words:
        assert word in said, said


def listing(folder):
    """Every file and folder, with its size and when it was last written."""
    paths = sorted(folder.rglob('*'))
    return [(p.relative_to(folder), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


@pytest.mark.parametrize('case', BUILDS)
def test_a_build_is_refused_and_leaves_no_data_set(tmp_path, monkeypatch, capsys, case):
    (write, build), spoil, options, words = BUILDS[case]
    raw, new = tmp_path / 'raw', tmp_path / 'new'
    raw.mkdir()
    write(raw)
    if spoil:
        spoil(raw)
    before = listing(raw)
    monkeypatch.chdir(raw)
    command = ['data', 'build', *build, *options, f'--data-dir={new}', '--workers=1']
    refused(command, capsys, words)
    assert listing(raw) == before
    # The list of reasons, and work that the next build goes on from.
    left = [path.relative_to(new).parts[1] for path in new.rglob('*') if path.is_file()]
    assert set(left) <= {'default_report.csv', 'default.staging'}


@pytest.mark.parametrize(('sample', 'options'), SOUND, ids=[s[1][0] for s, _ in SOUND])
def test_the_same_builds_without_the_fault(tmp_path, monkeypatch, sample, options):
    """Were these refused too, the table above would say nothing."""
    write, build = sample
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main(['data', 'build', *build, *options, '--data-dir=new', '--workers=1']) == 0


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Checkpoints `ckpt` (street views alone) and `whole`, and prepared variants of a set."""
    folder = tmp_path_factory.mktemp('world')
    write_own(folder)
    whole = small.config()
    whole.input.rs.window = 16
    saved(whole, folder / 'whole')
    whole.model.rs.enabled = whole.model.location.enabled = False
    saved(whole, folder / 'ckpt')
    (folder / 'notes').mkdir()
    (folder / 'rows.csv').write_text('a,b\n1,2\n')
    _build(folder, 'classes', targets=['use'])
    _build(folder, 'numbers', targets=['age'], kind='regression')
    _build(folder, 'masks', targets=['cover'], kind='mask', classes=['a', 'b'])
    _build(folder, 'rgb', targets=['use'], sensor='sentinel2_rgb')
    _spoil(folder, 'classes', 'narrow', classes=['a'])
    _spoil(folder, 'classes', 'poem', kind='poem')
    for row in (3, 4):
        edit('use', '', row)(folder)
        edit('split', 'train', row)(folder)
    _build(folder, 'unsplit', targets=['use'])
    for row in (3, 4):
        edit('split', 'val', row)(folder)
    _build(folder, 'unlabelled', targets=['use'])
    each('photo', '')(folder)
    _build(folder, 'blind', targets=['use'])
    return folder


@pytest.fixture(scope='module', autouse=True)
def by_rule(world):
    with drawn_by_rule():  # after the checkpoint, whose shapes come from the true initialisation
        yield


def _build(folder, variant, **options):
    labelled.build(folder / 'own.csv', data_dir=folder / 'prepared', variant=variant, **options)


def _spoil(folder, source, variant, **changes):
    """A copy of a variant whose task is said to be otherwise."""
    sets = folder / 'prepared/labelled'
    for kind in ('photos', 'acquisitions'):
        made_ = sets / f'{source}_{kind}/1.0.0'
        (sets / f'{variant}_{kind}').mkdir()
        copy = sets / f'{variant}_{kind}/1.0.0'
        copy.mkdir()
        for path in made_.iterdir():
            text = path.read_bytes().replace(f'{source}_{kind}'.encode(), copy.parent.name.encode())
            (copy / path.name).write_bytes(text if path.suffix == '.json' else path.read_bytes())
    metadata = sets / f'{variant}_photos/1.0.0/metadata.json'
    values = json.loads(metadata.read_text())
    values['tasks']['use'].update(changes)
    metadata.write_text(json.dumps(values))


# Overrides, further options, and words of the one sentence.
TRANSFERS = {
    'unknown task': (("tasks=('cover',)",), (), ('has use', "found 'cover'")),
    'features twice': (("features=('sv','sv')",), (), ('features', "found 'sv' twice")),
    'a side twice': (("features=('sv+sv',)",), (), ('features', "found 'sv+sv'")),
    'unknown side': (("features=('sv+lidar',)",), (), ('features', "found 'sv+lidar'")),
    'no features': (('features=()',), (), ('features: expected at least one',)),
    'share 0': (('shares=(0.0,)',), (), ('shares', 'found 0.0')),
    'share above 1': (('shares=(1.5,)',), (), ('shares', 'found 1.5')),
    'seeds 0': (('seeds=0',), (), ('seeds: expected 1 or more', 'found 0')),
    'negative rows': (('test_rows=-1',), (), ('test_rows', 'found -1')),
    'unknown protocol': (("protocols=('knn',)",), (), ('protocols', "found 'knn'")),
    'metric of the other kind': (('metric=R2',), (), ('metric', 'accuracy', "found 'R2'")),
    'unknown setting': (('sead=1',), (), ('config.sead', 'did you mean')),
    'encoder missing': (("features=('rs',)",), (), ("no encoder 'rs'",)),
    'no checkpoint': ((), ('--checkpoint=absent',), ('absent: no such checkpoint',)),
    'folder without one': ((), ('--checkpoint=notes',), ('notes', 'found no checkpoint')),
    'no config': ((), ('--config=no.py',), ('no such file: no.py',)),
    'set not built': (('data.name=nabirds',), (), ('no data set nabirds',)),
    'variant not built': (('data.variant=a',), (), ('no data set labelled, variant a',)),
    'split missing': (('data.variant=unsplit',), (), ("no split 'val'",)),
    'labels missing': (('data.variant=unlabelled',), (), ('no example of split val',)),
    'photos missing': (('data.variant=blind',), (), ('no row holds all that sv reads',)),
    'class out of range': (('data.variant=narrow',), (), ('classes 0 to 0', 'found 1')),
    'kind of task': (('data.variant=poem',), (), ('kind class', "found 'poem'")),
    'masks alone': (('data.variant=masks',), (), ('labelled has none',)),
    'table of others': ((), ('--table=rows.csv',), ('rows.csv', 'expected the columns')),
}


def transfer(overrides, options):
    # A tuple that is given twice is not replaced but made longer.
    features = (
        () if any(text.startswith('features') for text in overrides) else ("features=('sv',)",)
    )
    settings = (*features, 'seeds=1', 'data.dir=prepared', 'data.name=labelled')
    given = [f'--config.{text}' for text in (*settings, 'data.variant=classes', *overrides)]
    base = [f'--config={LINEAR}', '--checkpoint=ckpt', '--out=new']
    return ['transfer', *base, *options, *given]


@pytest.mark.parametrize('case', TRANSFERS)
def test_a_transfer_is_refused_and_leaves_nothing(world, monkeypatch, capsys, case):
    overrides, options, words = TRANSFERS[case]
    monkeypatch.chdir(world)
    before = listing(world)
    refused(transfer(overrides, options), capsys, words)
    assert listing(world) == before


BANDS = (("features=('rs',)", 'data.variant=rgb'), ('--checkpoint=whole', '--out=half'))


def test_bands_that_the_encoder_wants_and_the_data_lack(world, monkeypatch, capsys):
    monkeypatch.chdir(world)
    refused(transfer(*BANDS), capsys, ('band B05 is missing', 'B04, B03, B02'))


def test_bands_that_the_data_lack_leave_nothing(world, monkeypatch):
    monkeypatch.chdir(world)
    assert cli.main(transfer(*BANDS)) == 2
    assert not (world / 'half').exists()


def test_the_same_transfer_without_a_fault(world, monkeypatch):
    """Were it refused too, the table above would say nothing."""
    monkeypatch.chdir(world)
    assert cli.main(transfer(('data.variant=numbers',), ('--out=sound',))) == 0
    assert (world / 'sound/results.json').is_file()
