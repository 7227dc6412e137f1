"""What `gair embed` writes: a Parquet file a finished batch, then one GeoParquet file of them all.

A batch is one row group. The columns are those of the table, with their types, and then `geometry`,
`embedding_KIND` for each kind, and `error`. A column of the table that has one of these names is
kept as NAME_input.
"""

import csv
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gair_jax.config import InputError
from gair_jax.serve import geoparquet
from gair_jax.serve.place_rows import PlaceRow
from gair_jax.serve.place_tables import PlaceTable


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOutput:
    """The output of one table.

    Attributes:
      path: of the file.
      folder: of the finished batches.
      names: name in the output of each column of the table, in order.
      id: the column of ids in the output; '' without one.
      widths: of each kind of embedding.
      dtype: of the embeddings.
      batches: how many there are.
    """

    path: pathlib.Path
    folder: pathlib.Path
    names: Mapping[str, str]
    id: str
    widths: Mapping[str, int]
    dtype: str
    batches: int

    @property
    def errors(self) -> pathlib.Path:
        """The file that lists the rows with an error."""
        return self.path.with_name(self.path.stem + '.errors.csv')

    def done(self, index: int) -> bool:
        """Whether the batch was finished."""
        return self._part(index).exists()

    def save(
        self,
        index: int,
        batch: pa.Table,
        rows: Sequence[PlaceRow],
        embeddings: Mapping[str, np.ndarray],
    ) -> None:
        """Writes a batch, whole or not at all; embeddings are [n, d] with nan for none."""
        lonlat = np.array([row.lonlat for row in rows])
        columns: list[Any] = [*batch.combine_chunks().columns, geoparquet.points(lonlat)]
        for what in self.widths:
            values = self._cast(rows, what, embeddings[what])
            known = np.isfinite(values).all(axis=1)
            columns.append(geoparquet.embeddings(values, known, self.dtype))
        columns.append(pa.array([row.error for row in rows], pa.string()))
        names = [*self.names.values(), *written(self.widths)]
        geoparquet.write(pa.Table.from_arrays(columns, names), self._part(index))

    def failed(self, index: int) -> int:
        """How many rows of a finished batch have an error."""
        errors = pq.ParquetFile(self._part(index)).read(['error'])['error']
        return len(errors) - (pc.sum(pc.equal(errors, '')).as_py() or 0)

    def join(self, made_by: Mapping[str, Any], geometry: Mapping[str, Any]) -> None:
        """Makes the file of all batches, a row group each, holding one at a time.

        Args:
          made_by: provenance.
          geometry: what GeoParquet says of the table's own geometry columns.
        """
        others = {self.names[name]: about for name, about in geometry.items()}
        about = geoparquet.metadata(dict(made_by), self._bounds(), others)
        schema = pq.read_schema(self._part(0)).with_metadata(about)
        whole = self.folder / 'whole.part'
        with pq.ParquetWriter(whole, schema, compression='zstd') as writer:
            for index in range(self.batches):
                batch = pq.ParquetFile(self._part(index)).read()
                writer.write_table(batch.replace_schema_metadata(about))
        os.replace(whole, self.path)

    def list_errors(self) -> None:
        """Writes `errors`, a CSV of row, id and error; none where no row has one."""
        if not self.first_error():
            self.errors.unlink(missing_ok=True)
            return
        part = self.errors.with_name(self.errors.name + '.part')
        with part.open('w', newline='', encoding='utf-8') as file:
            writer = csv.writer(file)
            writer.writerow(('row', 'id', 'error'))
            writer.writerows(self._errors())
        os.replace(part, self.errors)

    def first_error(self) -> str:
        """The first row with an error, and that; '' for none."""
        return next((f'row {row}: {error}' for row, _, error in self._errors()), '')

    def clear(self) -> None:
        """Removes the finished batches."""
        for index in range(self.batches):
            self._part(index).unlink(missing_ok=True)

    def _errors(self) -> Iterator[tuple[int, str, str]]:
        first = 1
        for index in range(self.batches):
            if not self.done(index):
                return
            found = pq.ParquetFile(self._part(index)).read([*filter(None, [self.id]), 'error'])
            errors = found['error'].to_pylist()
            ids = found[self.id].to_pylist() if self.id else [None] * len(errors)
            for row, name, error in zip(itertools.count(first), ids, errors):
                if error:
                    yield row, str(row if name is None else name), error
            first += len(errors)

    def _bounds(self) -> tuple[float, ...]:
        """West, south, east, north of all points; () without any."""
        corners = []
        for index in range(self.batches):
            column = pq.ParquetFile(self._part(index)).read(['geometry'])['geometry']
            points = geoparquet.read_points(column)
            points = points[np.isfinite(points).all(axis=1)]
            if len(points):
                corners.append((*points.min(axis=0), *-points.max(axis=0)))
        if not corners:
            return ()
        west, south, east, north = np.min(corners, axis=0) * (1, 1, -1, -1)
        return float(west), float(south), float(east), float(north)

    def _cast(self, rows: Sequence[PlaceRow], what: str, values: np.ndarray) -> np.ndarray:
        """Embeddings as they are stored; a row that is too large for that is told so."""
        with np.errstate(over='ignore'):
            stored = values.astype(self.dtype)
        for i in np.flatnonzero(np.isinf(stored).any(axis=1)):
            rows[int(i)].fail(what, f'embedding_{what} is beyond the range of {self.dtype}')
        return stored

    def _part(self, index: int) -> pathlib.Path:
        return self.folder / f'rows-{index:08d}.parquet'


def written(kinds: Mapping[str, int] | Sequence[str]) -> list[str]:
    """Names of the columns that are added."""
    return ['geometry', *(f'embedding_{kind}' for kind in kinds), 'error']


def output_names(table: PlaceTable, kinds: Sequence[str]) -> dict[str, str]:
    """Name in the output of each column of a table.

    Raises:
      InputError: a name is taken, and so is the one it would be kept under.
    """
    taken, found = set(written(kinds)), table.schema.names
    names = {name: f'{name}_input' if name in taken else name for name in found}
    for name, kept in names.items():
        if name != kept and kept in found:
            raise InputError(
                f'{table.path}: column {name!r} is written anew and would be kept as {kept!r}, '
                'which is there too; rename one of them.'
            )
    return names
