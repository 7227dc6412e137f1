"""Importing a table in a test, and looking at what came of it."""

import csv
import hashlib

from gair_jax.builders import photos
from gair_jax.config import DataConfig
from gair_jax.input import store
from tests.builders import scenes


def build(folder, rows, **options):
    table = scenes.write_table(folder / 'table.csv', rows)
    options = {'columns': {}, 'data_dir': folder / 'prepared', **options}
    return photos.build(table, options.pop('columns'), folder, **options)


def opened(folder, variant='default'):
    return store.Store(DataConfig(dir=str(folder / 'prepared'), name='photos', variant=variant))


def everything(source):
    return {photo.id: photo for split in source.splits for photo in source.photos(split)}


def reasons(folder, variant='default'):
    with (folder / f'prepared/photos/{variant}_report.csv').open(encoding='utf-8') as file:
        return {line['id']: line['reason'] for line in csv.DictReader(file)}


def digest(folder):
    """Of every file. Protobuf orders the fields of a record anew in every process, so that files of
    equal records have equal bytes only if one process packed them."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }
