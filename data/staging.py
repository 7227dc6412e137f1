"""Between raw files and records: chunks of finished work on disk, so that a build can be resumed.

A builder divides its work into chunks and gives `run` a picklable function that makes one of them.
Each chunk becomes a folder of three Arrow files that is renamed into place when it is complete:
whatever kills a build, what lies there under its final name is whole, and the next run goes on from
it. The bytes of a chunk depend on its index alone, never on the number of workers.
"""

import concurrent.futures
import contextlib
import fcntl
import functools
import json
import multiprocessing
import os
import pathlib
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
from rich import console, progress

from gair_jax.builders import beam_chunks
from gair_jax.config import InputError

_ARRAY = pa.struct(
    [
        ('dtype', pa.string()),
        ('shape', pa.list_(pa.int64())),
        ('data', pa.large_binary()),
    ]
)
_LABELS = pa.list_(pa.struct([('name', pa.string()), ('array', _ARRAY)]))
_DOUBLES = pa.list_(pa.float64())
_BATCH = 16  # records

SCHEMAS = {
    'photos': pa.schema(
        [
            ('id', pa.string()),
            ('photo', pa.large_binary()),
            ('lonlat', _DOUBLES),
            ('heading', pa.float64()),
            ('date', pa.string()),
            ('licence', pa.string()),
            ('group', pa.string()),
            ('tile_key', pa.string()),
            ('split', pa.string()),
            ('labels', _LABELS),
        ]
    ),
    'acquisitions': pa.schema(
        [
            ('id', pa.string()),
            ('tile_key', pa.string()),
            ('date', pa.string()),
            ('cloud', pa.float64()),
            ('bands', _ARRAY),
            ('band_names', pa.list_(pa.string())),
            ('bounds', _DOUBLES),
            ('crs', pa.string()),
            ('transform', _DOUBLES),
            ('labels', _LABELS),
        ]
    ),
    'dropped': pa.schema([('row', pa.int64()), ('id', pa.string()), ('reason', pa.string())]),
}


class Chunk(NamedTuple):
    """What one call of `make` returns: lists of staged records, in their final order.

    photos: fields of `records.Photo` without `tile` and `acquisitions`, with `tile_key` (str, ''
        for none) and `split` (str); arrays are NumPy arrays.
    acquisitions: fields of `records.Acquisition` with `tile_key` (str) instead of `tile`.
    dropped: `row` (int, 1 is the first data row), `id` (str) and `reason` (str) of what was left
        out.
    """

    photos: list[dict[str, Any]]
    acquisitions: list[dict[str, Any]]
    dropped: list[dict[str, Any]]


def _pack_array(array: np.ndarray) -> dict[str, Any]:
    array = np.asarray(array)
    little = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
    return {'dtype': little.dtype.str, 'shape': list(array.shape), 'data': little.tobytes()}


def _unpack_array(packed: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(packed['data'], packed['dtype']).reshape(packed['shape'])


def _pack(record: dict[str, Any]) -> dict[str, Any]:
    row = dict(record)
    if 'labels' in row:
        row['labels'] = [
            {'name': name, 'array': _pack_array(array)} for name, array in row['labels'].items()
        ]
    if 'bands' in row:
        row['bands'] = _pack_array(row['bands'])
    for name in row.keys() & {'lonlat', 'bounds', 'transform', 'band_names'}:
        row[name] = list(row[name])
    return row


def _unpack(row: dict[str, Any]) -> dict[str, Any]:
    record = dict(row)
    if 'labels' in record:
        record['labels'] = {item['name']: _unpack_array(item['array']) for item in row['labels']}
    if 'bands' in record:
        record['bands'] = _unpack_array(row['bands'])
        record['band_names'] = tuple(row['band_names'])
    for name in record.keys() & {'lonlat', 'bounds', 'transform'}:
        record[name] = np.array(row[name], np.float64)
    return record


def _write(path: pathlib.Path, records: list[dict[str, Any]], schema: pa.Schema) -> None:
    with pa.OSFile(str(path), 'wb') as sink, pa.ipc.new_file(sink, schema) as writer:
        # Small batches: neither a reader nor the writer holds the chunk a second time.
        for first in range(0, len(records), _BATCH):
            some = [_pack(record) for record in records[first : first + _BATCH]]
            writer.write_table(pa.Table.from_pylist(some, schema=schema))


def _chunk_path(folder: pathlib.Path, index: int) -> pathlib.Path:
    return folder / f'chunk-{index:06d}'


def _stage(folder: pathlib.Path, make: Callable[[int], Chunk], index: int) -> None:
    chunk = make(index)
    final = _chunk_path(folder, index)
    # Of this call alone: a worker may outlive a killed build and meet the next one here, and those
    # of other machines may have its process id.
    part = final.with_suffix(f'.{uuid.uuid4().hex}.part')
    try:
        part.mkdir()
        for kind, records in chunk._asdict().items():
            _write(part / f'{kind}.arrow', records, SCHEMAS[kind])
        os.rename(part, final)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if not final.exists():
            # pyarrow's errors have a number alone.
            reason = os.strerror(error.errno) if error.errno else error
            raise InputError(f'{final}: cannot be written: {reason}') from error


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / 'lock').open('w')
    except OSError as error:
        raise InputError(f'{folder}: cannot be written: {error.strerror}') from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f'{folder}: another build of this data set is running') from error
        yield


def _agree(folder: pathlib.Path, fingerprint: dict[str, Any]) -> None:
    """Clears what a killed or another build left, and writes down which build this is."""
    for part in folder.glob('chunk-*.part'):
        shutil.rmtree(part, ignore_errors=True)
    path = folder / 'fingerprint.json'
    text = json.dumps(fingerprint, sort_keys=True, indent=1)
    if path.exists() and path.read_text() == text:
        return
    if path.exists():
        print(f'{folder}: the options or the input changed, so the build starts over')
    for old in folder.glob('chunk-*'):
        shutil.rmtree(old)
    part = path.with_suffix('.part')
    try:
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise InputError(f'{path}: cannot be written: {error.strerror}') from error


def _results(
    folder: pathlib.Path, make: Callable[[int], Chunk], todo: list[int], workers: int, beam: str
) -> Iterator[None]:
    if beam and todo:
        folder = folder.absolute()  # workers elsewhere have another current folder
        beam_chunks.run(folder, functools.partial(_stage, folder, make), todo, beam)
        yield from (None for _ in todo)
        return
    if workers <= 1 or len(todo) <= 1:
        for index in todo:
            _stage(folder, make, index)
            yield
        return
    # Not fork: the caller may already run JAX's or Arrow's threads.
    spawn = multiprocessing.get_context('spawn')
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(todo)), spawn) as pool:
        jobs = [pool.submit(_stage, folder, make, index) for index in todo]
        try:
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                yield
        except concurrent.futures.process.BrokenProcessPool as error:
            raise InputError(
                f'{folder}: a worker process was killed (memory?); the same command goes on from '
                'where it stopped, with fewer --workers if need be'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def run(
    folder: pathlib.Path,
    fingerprint: dict[str, Any],
    chunks: int,
    make: Callable[[int], Chunk],
    workers: int,
    title: str,
    beam: str = '',
) -> None:
    """Makes the chunks 0 .. chunks - 1 that are not there yet.

    Args:
      folder: where they are kept; made if absent, one build at a time.
      fingerprint: everything the chunks depend on, as JSON; if it differs from that of the chunks
        found there, they are removed and the build starts over, saying so.
      chunks: how many there are.
      make: picklable; makes chunk i from i alone.
      workers: processes; 1 or less works in this one. Never changes the result.
      title: words beside the progress bar.
      beam: options for Beam, which then makes the chunks instead of `workers`; '' does without.

    Raises:
      InputError: the folder cannot be written, another build is at work in it, `make` said so, or
        a chunk is not there in the end.
    """
    with _locked(folder):
        _agree(folder, {'build': fingerprint, 'chunks': chunks})
        todo = [index for index in range(chunks) if not _chunk_path(folder, index).exists()]
        terminal = console.Console(stderr=True)
        with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task(title, total=chunks, completed=chunks - len(todo))
            for _ in _results(folder, make, todo, workers, beam):
                bar.advance(task)
        # By a listing: a network disk may go on saying of a name that it is not there.
        there = set(folder.glob('chunk-??????'))
        if lost := [i for i in range(chunks) if _chunk_path(folder, i) not in there]:
            raise InputError(
                f'{folder}: expected {chunks} chunks, found {len(there)}, not number {lost[0]}; '
                'the same command makes those that are missing'
            )


def read(
    folder: pathlib.Path, kind: str, columns: tuple[str, ...] = (), split: str = ''
) -> Iterator[dict[str, Any]]:
    """The staged records of one kind ('photos', 'acquisitions', 'dropped'), in chunk order.

    With `columns` only these fields, with `split` only its photos are read from disk.
    """
    names = list(columns) or SCHEMAS[kind].names
    for path in sorted(folder.glob('chunk-??????')):
        with pa.memory_map(str(path / f'{kind}.arrow')) as source:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index)
                if split:
                    batch = batch.filter(pyarrow.compute.equal(batch['split'], split))
                for row in batch.select(names).to_pylist():
                    yield _unpack(row)
