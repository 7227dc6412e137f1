"""`gair embed`: a table of photos, tiles and places -> the table with their embeddings.

Rows go through in batches. Each finished batch is a Parquet file in OUT.part, so a killed run goes
on where it stopped; at the end they become the row groups of one GeoParquet file. Memory is that of
a few batches, whatever the length of the table.
"""

import collections
import dataclasses
import itertools
import math
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from rich import console, progress

import gair_jax
from gair_jax.config import InputError
from gair_jax.serve import geoparquet, place_tables
from gair_jax.serve.embed_output import EmbedOutput, output_names
from gair_jax.serve.embedder import Embedder
from gair_jax.serve.parts import parts
from gair_jax.serve.place_rows import PlaceRow, RowReader
from gair_jax.serve.place_tables import PlaceTable
from gair_jax.serve.row_embedder import WHAT, RowEmbedder, Shown
from gair_jax.serve.tile_batches import TileReading

DTYPES = ('float32', 'float16')
MOST_BATCH_ROWS = 65536
# Which columns tell what is embedded; places may also stand in the EXIF of photos.
SOURCES = {'location': 'lon and lat', 'sv': 'photo', 'rs': 'tile', 'localized': 'tile'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """What is made of a table, and how.

    Attributes:
      columns: field of `input.tables.EMBED_FIELDS` -> column, where the names differ.
      root: folder that the files of the table lie under.
      basename: find each file by its last name alone, anywhere under the root.
      what: of `row_embedder.WHAT`; (): all that the model and the columns allow.
      dtype: of `DTYPES`.
      normalize: scale to unit length.
      space: 'common' or 'encoder', see `Embedder`.
      offset, band_order, overlap, window: see `TileReading`.
      batch_rows: rows of a batch, and of a row group of the output.
      max_failed: largest share of rows that may fail, 0..1.
    """

    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    root: str | os.PathLike[str] = '.'
    basename: bool = False
    what: Sequence[str] = ()
    dtype: str = 'float32'
    normalize: bool = False
    space: str = 'common'
    offset: float | None = None
    band_order: str = ''
    overlap: float = TileReading.overlap
    window: int = 0
    batch_rows: int = 256
    max_failed: float = 1.0

    def check(self) -> None:
        """Raises InputError for a value that cannot be used."""
        if self.dtype not in DTYPES:
            raise InputError(f'dtype: expected {" or ".join(DTYPES)}, found {self.dtype!r}.')
        for what in self.what:
            if what not in WHAT:
                raise InputError(f'what: expected some of {", ".join(WHAT)}, found {what!r}.')
        if not 1 <= self.batch_rows <= MOST_BATCH_ROWS:
            raise InputError(
                f'batch-rows: expected 1 to {MOST_BATCH_ROWS}, found {self.batch_rows}.'
            )
        if not 0 <= self.max_failed <= 1:
            raise InputError(f'max-failed: expected a share from 0 to 1, found {self.max_failed}.')
        if not 0 <= self.overlap < 1:
            raise InputError(f'overlap: expected 0 <= overlap < 1, found {self.overlap}.')
        if self.window < 0:
            raise InputError(f'window: expected at least 0, found {self.window}.')
        if self.band_order not in ('', 'eurosat'):
            raise InputError(f'band-order: expected eurosat, found {self.band_order!r}.')


OPTIONS = tuple(field.name for field in dataclasses.fields(EmbedOptions))


class Written(NamedTuple):
    """What came of a table.

    path: of the output; rows: written; widths: of each kind of embedding; failed: rows with an
    error; errors: the list of them; resumed: rows taken over from a run that stopped; seconds.
    """

    path: pathlib.Path
    rows: int
    widths: dict[str, int]
    failed: int
    errors: pathlib.Path
    resumed: int
    seconds: float


def write(
    embedder: Embedder,
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: EmbedOptions = EmbedOptions(),  # noqa: B008 (frozen)
) -> Written:
    """Embeds the rows of a table; a killed run goes on where it stopped.

    Args:
      embedder: of `gair_jax.load`.
      table: .csv, .parquet or .geoparquet file, one row a photo, tile or place.
      out: .parquet or .geoparquet file: all columns of the table, the place of the row as
        `geometry` (WKB, WGS84), a fixed-size list column `embedding_KIND` for each kind, null where
        there is none, and `error`, why something of the row could not be embedded, else ''.
      options: what is made, and how.

    Raises:
      InputError: the table, a column or an option cannot be used, or more rows fail than may.
    """
    start, out = time.monotonic(), pathlib.Path(out)
    options.check()
    source = place_tables.open_table(table)
    _check_out(source.path, out)
    reader = RowReader(source, options.columns, pathlib.Path(options.root), options.basename)
    kinds = chosen(embedder, reader, options)
    names = output_names(source, kinds)
    job = RowEmbedder(
        embedder, _reading(options, kinds), kinds, placed=reader.placed, normalize=options.normalize
    )
    with job.pool, parts(out, _fingerprint(embedder, source, options, kinds)) as kept:
        output = EmbedOutput(
            path=out,
            folder=kept.folder,
            names=names,
            id=names.get(reader.named.get('id', ''), ''),
            widths={what: job.width(what) for what in kinds},
            dtype=options.dtype,
            batches=math.ceil(source.rows / options.batch_rows),
        )
        resumed, failed = _embed(job, source, reader, output, options)
        settings = {
            'table': str(source.path),
            'rows': source.rows,
            'failed': failed,
            'columns': {field: names[column] for field, column in reader.named.items()},
            **_settings(options),
        }
        output.join(geoparquet.provenance(embedder, **settings), source.geometry)
    return Written(
        path=out,
        rows=source.rows,
        widths=dict(output.widths),
        failed=failed,
        errors=output.errors,
        resumed=resumed,
        seconds=time.monotonic() - start,
    )


def chosen(embedder: Embedder, reader: RowReader, options: EmbedOptions) -> tuple[str, ...]:
    """The kinds of embeddings that are made.

    Raises:
      InputError: one that is asked for cannot be made of these columns or by this model, or none.
    """
    reasons: dict[str, str] = {}
    for what in WHAT:
        try:
            _check_what(embedder, reader, what, options.space)
        except InputError as error:
            reasons[what] = str(error)
    for what in options.what or ():
        if what in reasons:
            raise InputError(f'what={what}: {reasons[what]}')
    if len(reasons) == len(WHAT):
        raise InputError(f'nothing can be embedded: {"; ".join(reasons.values())}')
    return tuple(w for w in WHAT if w not in reasons and (not options.what or w in options.what))


def _check_what(embedder: Embedder, reader: RowReader, what: str, space: str) -> None:
    embedder.require('rs' if what == 'localized' else what, space)
    if what == 'rs':
        embedder.require_pooled(space)
    has_place = reader.placed or 'photo' in reader.named
    if what == 'location' and not has_place or what == 'localized' and not has_place:
        raise InputError('expected columns for lon and lat, or photos that say where they were.')
    if what != 'location' and SOURCES[what] not in reader.named:
        raise InputError(f'expected a column for {SOURCES[what]}.')


def _check_out(table: pathlib.Path, out: pathlib.Path) -> None:
    if out.suffix not in ('.parquet', '.geoparquet'):
        raise InputError(f'{out}: expected a name that ends in .parquet or .geoparquet.')
    if out.is_dir():
        raise InputError(f'{out}: is a folder; expected the name of a file.')
    if out.exists() and os.path.samefile(table, out):
        raise InputError(f'{out}: is the table itself; expected another name.')


def _reading(options: EmbedOptions, kinds: Sequence[str]) -> TileReading:
    return TileReading(
        root=pathlib.Path(options.root),
        offset=options.offset,
        band_order=options.band_order,
        overlap=options.overlap,
        window=options.window,
        pooled='rs' in kinds,
        localized='localized' in kinds,
        space=options.space,
    )


def _settings(options: EmbedOptions) -> dict[str, Any]:
    """What the embeddings depend on beside table and checkpoint, and the rows of a batch."""
    settings = dataclasses.asdict(options)
    return {k: v for k, v in settings.items() if k not in ('max_failed', 'columns', 'root')}


def _fingerprint(
    embedder: Embedder, source: PlaceTable, options: EmbedOptions, kinds: Sequence[str]
) -> dict[str, Any]:
    stat = source.path.stat()
    return {
        'table': [str(source.path.resolve()), stat.st_size, stat.st_mtime_ns],
        'root': str(pathlib.Path(options.root).resolve()),
        'columns': dict(options.columns),
        'checkpoint': embedder.origin.sha256,
        'compute': embedder.config.model.dtype,
        'version': gair_jax.__version__,
        **_settings(options),
        'what': kinds,
    }


def _embed(
    job: RowEmbedder,
    source: PlaceTable,
    reader: RowReader,
    output: EmbedOutput,
    options: EmbedOptions,
) -> tuple[int, int]:
    """Finishes the batches; returns rows taken over from an earlier run, and rows that failed."""
    before = [index for index in range(output.batches) if output.done(index)]
    failed = sum(output.failed(index) for index in before)
    resumed = min(source.rows, len(before) * options.batch_rows)
    terminal = console.Console(stderr=True)
    with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task('embedding', total=source.rows, completed=resumed)
        for index, batch, shown in _batches(job, source, reader, output, options.batch_rows):
            rows, embeddings = job.embed(shown)
            output.save(index, batch, rows, embeddings)
            failed += sum(row.error != '' for row in rows)
            _refuse(source, output, failed, options.max_failed)
            bar.advance(task, len(rows))
    _refuse(source, output, failed, options.max_failed)
    output.list_errors()
    return resumed, failed


def _batches(
    job: RowEmbedder, source: PlaceTable, reader: RowReader, output: EmbedOutput, size: int
) -> Iterator[tuple[int, pa.Table, Iterator[Shown]]]:
    """The batches that are not done yet, by number, with their rows; all of these must be taken.

    Photos of the next batch are read while this one is at work.
    """
    begun: collections.deque[tuple[int, pa.Table]] = collections.deque()

    def rows() -> Iterator[PlaceRow]:
        for index, batch in enumerate(source.batches(size)):
            if not output.done(index):
                begun.append((index, batch))
                yield from reader.read(batch, index * size + 1)

    shown = job.show(rows())
    for first in shown:
        index, batch = begun.popleft()
        yield index, batch, itertools.chain([first], itertools.islice(shown, batch.num_rows - 1))


def _refuse(source: PlaceTable, output: EmbedOutput, failed: int, share: float) -> None:
    """If more rows failed than may, lists them, removes all else, and raises InputError."""
    if failed <= share * source.rows:
        return
    output.list_errors()
    first = output.first_error()
    output.clear()
    raise InputError(
        f'{source.path}: {failed} of {source.rows} rows failed so far, and at most {share:.0%} '
        f'may; {first} (all are listed in {output.errors}).'
    )
