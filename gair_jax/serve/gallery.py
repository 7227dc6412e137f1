"""A gallery, the table that `gair embed` writes, searched by cosine without ever holding it.

Rows are read a batch at a time and only the best are kept, so memory is that of one row group and
of the answers, whatever the length of the table.
"""

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from gair_jax.config import InputError
from gair_jax.serve import geoparquet
from gair_jax.serve.engine import Engine

ROWS = 256  # read at once: against 16 384 points of a tile, their cosines take 32 MB
PAGE = 1 << 20  # bytes of a column read at once
NONE = -1  # the row where nothing was found


class Entry(NamedTuple):
    """A row of the gallery.

    row: from 0; id: of the table, else 'row N' counted from 1; photo: path as the table has it, ''
    for none; lonlat: degrees, nan where unknown.
    """

    row: int
    id: str
    photo: str
    lonlat: Float[np.ndarray, '2']


class Top:
    """The best `k` rows of each of some queries among all that were added; equal scores by row.

    Attributes:
      score: float32 [queries, k], best first; -inf where fewer were found.
      row: int64 [queries, k]; `NONE` there.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.score = np.full((queries, k), -np.inf, np.float32)
        self.row = np.full((queries, k), NONE, np.int64)

    def add(self, score: Float[np.ndarray, 'q n'], row: Int[np.ndarray, ' n']) -> None:
        """Takes in more rows, all later than those before; a score of nan is none."""
        score = np.where(np.isnan(score), -np.inf, score)
        # Most queries of a long table gain nothing from most batches.
        gains = np.flatnonzero(score.max(axis=1, initial=-np.inf) > self.score[:, -1])
        scores = np.concatenate([self.score[gains], score[gains]], axis=1)
        rows = np.concatenate([self.row[gains], np.broadcast_to(row, score[gains].shape)], axis=1)
        best = np.argsort(-scores, axis=1, kind='stable')[:, : self.score.shape[1]]
        self.score[gains] = np.take_along_axis(scores, best, axis=1)
        self.row[gains] = np.take_along_axis(rows, best, axis=1)

    def with_rows(self, row: Int[np.ndarray, 'q k']) -> 'Top':
        """The same scores under other row numbers."""
        made = Top(*self.row.shape)
        made.score, made.row = self.score, row
        return made


class Gallery:
    """An open gallery.

    Attributes:
      path: of the table.
      provenance: what made it.
      columns: names.
      by_name: its photos are found by their last name alone (`gair embed --basename`).
    """

    def __init__(
        self, path: str | os.PathLike[str], engine: Engine, *, other_checkpoint: bool = False
    ) -> None:
        """Opens a table.

        Args:
          path: of the GeoParquet file.
          engine: whose embeddings it will be compared with.
          other_checkpoint: allow a table that another checkpoint made.

        Raises:
          InputError: no such table, not Parquet, or made by another checkpoint.
        """
        self.path = pathlib.Path(path)
        if not self.path.is_file():
            raise InputError(f'{self.path}: no such gallery; `gair embed` makes one.')
        try:
            # Read ahead, a whole row group would be held.
            self._file = pq.ParquetFile(self.path, pre_buffer=False, buffer_size=PAGE)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f'{self.path}: expected a Parquet table: {error}.') from error
        self.columns = tuple(self._file.schema_arrow.names)
        self.provenance = geoparquet.read_provenance(self.path)
        self.by_name = bool(self.provenance.get('basename', False))
        if not other_checkpoint:
            self._check_checkpoint(engine)

    def __len__(self) -> int:
        return self._file.metadata.num_rows

    def column(self, sides: Sequence[str]) -> str:
        """The embedding column of the first of `sides` that the table has.

        Raises:
          InputError: it has none of them, or its embeddings are not of the common space.
        """
        wanted = [f'embedding_{side}' for side in sides]
        found = [name for name in wanted if name in self.columns]
        if not found:
            has = ', '.join(n for n in self.columns if n.startswith('embedding_')) or 'none'
            raise InputError(
                f'{self.path}: expected a column {" or ".join(wanted)}, found {has} of them.'
            )
        if self.provenance.get('space') == 'encoder':
            raise InputError(
                f'{self.path}: expected embeddings of space common, in which photos, tiles and '
                'places compare, found encoder.'
            )
        return found[0]

    def batches(
        self, column: str, width: int
    ) -> Iterator[tuple[Int[np.ndarray, ' n'], Float[np.ndarray, 'n d']]]:
        """Row numbers and embeddings (float64, unit length) of the rows that have one.

        Raises:
          InputError: they are not `width` wide, or the file is damaged.
        """
        kind = self._file.schema_arrow.field(column).type
        found = kind.list_size if pa.types.is_fixed_size_list(kind) else 0
        if found != width:
            raise InputError(
                f'{self.path}: expected lists of {width} numbers in {column}, found {kind}.'
            )
        first = 0
        for batch in self._read([column]):
            lists = batch.column(0)
            known = np.asarray(lists.is_valid())
            rows = first + np.flatnonzero(known)
            values = lists.flatten().to_numpy(zero_copy_only=False)
            yield rows, unit64(values.reshape(-1, width))
            first += len(lists)

    def entries(self, rows: Sequence[int] | Int[np.ndarray, ' n']) -> dict[int, Entry]:
        """What the table says of some rows, by row number."""
        wanted = np.unique(np.asarray(rows, np.int64))
        mapped = self.provenance.get('columns', {})
        id_, photo = mapped.get('id', 'id'), mapped.get('photo', 'photo')
        names = [name for name in (id_, photo, 'geometry') if name in self.columns]
        found, first = {}, 0
        for batch in self._read(names):
            here = wanted[(wanted >= first) & (wanted < first + batch.num_rows)]
            table = pa.Table.from_batches([batch.take(pa.array(here - first))])
            for row, entry in zip(here, _entries(table, here, id_, photo), strict=True):
                found[int(row)] = entry
            first += batch.num_rows
        return found

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._file.iter_batches(ROWS, columns=names, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f'{self.path}: damaged table: {error}.') from error

    def _check_checkpoint(self, engine: Engine) -> None:
        made_by = self.provenance.get('checkpoint', {})
        if made_by.get('sha256') == engine.origin.sha256:
            return
        whose = _named(made_by['path'], made_by['sha256']) if made_by else 'an unknown one'
        raise InputError(
            f'{self.path}: expected a gallery made with the checkpoint '
            f'{_named(engine.origin.path, engine.origin.sha256)}, found one made with {whose}, '
            'whose embeddings do not compare; --allow-other-checkpoint searches it all the same.'
        )


def _named(path: str, sha256: str) -> str:
    return f'{path} (sha256 {sha256[:12]})'


def cosines(a: Float[np.ndarray, 'n d'], b: Float[np.ndarray, 'm d']) -> Float[np.ndarray, 'n m']:
    """float32 cosines of unit vectors.

    Summed in float64, so that equal rows get equal scores, whatever block of a product they lie in.
    """
    return (np.asarray(a, np.float64) @ np.asarray(b, np.float64).T).astype(np.float32)


def unit64(x: Float[np.ndarray, 'n d']) -> Float[np.ndarray, 'n d']:
    """Scaled to length 1 in float64; a row of zeros or with nan becomes nan: it has no cosine."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid='ignore', divide='ignore'):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _entries(table: pa.Table, rows: Int[np.ndarray, ' n'], id_: str, photo: str) -> list[Entry]:
    def texts(name: str) -> list[Any]:
        return table[name].to_pylist() if name in table.column_names else [None] * len(rows)

    lonlat = np.full((len(rows), 2), np.nan)
    if 'geometry' in table.column_names:
        lonlat = geoparquet.read_points(table['geometry'])
    return [
        Entry(
            int(row),
            f'row {row + 1}' if name is None else str(name),
            '' if path is None else str(path),
            place,
        )
        for row, name, path, place in zip(rows, texts(id_), texts(photo), lonlat, strict=True)
    ]
