"""Rows of a table as what is embedded: a photo, a tile, a place, or why one of them cannot be."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.input.tables import BOX, EMBED_FIELDS, Files, listed, name_columns, number, text
from gair_jax.serve import place_tables
from gair_jax.serve.place_tables import PlaceTable

NOWHERE = (math.nan, math.nan)


@dataclasses.dataclass(kw_only=True)
class PlaceRow:
    """One row.

    Attributes:
      row: its number in the table; 1 is the first.
      photo, tile: paths under the root; '' for none, or for one that cannot be used.
      lonlat: degrees; nan where nothing is known yet, or ever.
      box: left, top, right, bottom in `crs`, empty if the tile's own georeference must tell.
      crs: of the box.
      offset: subtracted from the tile's stored values; nan: as asked for.
      problems: what cannot be used ('photo', 'tile', 'position', or an embedding) -> why.
    """

    row: int
    photo: str = ''
    tile: str = ''
    lonlat: tuple[float, float] = NOWHERE
    box: tuple[float, ...] = ()
    crs: str = ''
    offset: float = math.nan
    problems: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def located(self) -> bool:
        """Whether it is known where the row is."""
        return not math.isnan(self.lonlat[0])

    @property
    def error(self) -> str:
        """Every problem in one line; '' for none."""
        return '; '.join(self.problems.values())

    def fail(self, what: str, reason: object) -> None:
        """Notes why `what` cannot be used."""
        self.problems[what] = str(reason).rstrip('.')


class RowReader:
    """Reads the rows of a table.

    Attributes:
      named: the column of each field that the table has.
      placed: whether the table says where its rows are.
    """

    def __init__(
        self, table: PlaceTable, columns: Mapping[str, str], root: pathlib.Path, basename: bool
    ) -> None:
        """Names the columns.

        Args:
          table: of the rows.
          columns: field (`EMBED_FIELDS`) -> column, where the names differ.
          root: folder of the files that the table names.
          basename: find each file by its last name alone, anywhere under the root.

        Raises:
          InputError: a column is absent, there is none that can be used, or the root is no folder.
        """
        self.named = name_columns(table.path, table.schema.names, columns, EMBED_FIELDS)
        self._table, self._files = table, Files(root, basename)
        given = self.named.keys() & {'lon', 'lat'}
        if len(given) == 1:
            raise InputError(f'{table.path}: expected lon and lat together, found {given.pop()}.')
        self._by_geometry = not given and table.primary != ''
        self.placed = bool(given) or self._by_geometry
        if not self.placed and not self.named.keys() & {'photo', 'tile'}:
            raise InputError(
                f'{table.path}: expected a column for photo, for tile, or for lon and lat (name '
                f'them with --columns), found {", ".join(table.schema.names)}.'
            )

    def read(self, batch: pa.Table, first: int) -> list[PlaceRow]:
        """The rows of a batch whose first row is number `first` of the table, from 1."""
        columns = {field: batch[name].to_pylist() for field, name in self.named.items()}
        points = np.full((batch.num_rows, 2), math.nan)
        if self._by_geometry:
            points = place_tables.points(self._table, batch)
        return [
            self._row(first + i, {field: text(cells[i]) for field, cells in columns.items()}, point)
            for i, point in enumerate(points)
        ]

    def _row(self, row: int, cells: dict[str, str], point: Float[np.ndarray, '2']) -> PlaceRow:
        made = PlaceRow(row=row)
        try:
            self._place(made, cells, point)
        except InputError as error:
            made.fail('position', error)
        try:
            made.photo = self._file(cells.get('photo', ''))
        except InputError as error:
            made.fail('photo', error)
        try:
            self._tile(made, cells)
        except InputError as error:
            made.fail('tile', error)
        return made

    def _file(self, cell: str) -> str:
        return cell and self._files.find(cell)

    def _tile(self, made: PlaceRow, cells: dict[str, str]) -> None:
        # Of several dates the first, as training's evaluation takes it.
        files = listed(cells.get('tile', ''))
        made.offset = number(cells, 'offset')
        box = [number(cells, side) for side in BOX]
        if cells.get('crs') and not any(map(math.isnan, box)):
            made.box, made.crs = tuple(box), cells['crs']
        made.tile = self._file(files[0]) if files else ''

    def _place(self, made: PlaceRow, cells: dict[str, str], point: Float[np.ndarray, '2']) -> None:
        lonlat = number(cells, 'lon'), number(cells, 'lat')
        if self._by_geometry:
            if np.isinf(point).any():
                raise InputError('geometry is no point, or lies outside its CRS')
            lonlat = float(point[0]), float(point[1])
        missing = [math.isnan(value) for value in lonlat]
        if all(missing):
            return  # The photo's EXIF may tell.
        if any(missing):
            raise InputError('no position: lon or lat is empty')
        place(made, lonlat)


def place(row: PlaceRow, lonlat: tuple[float, float]) -> None:
    """Puts the row there; InputError where that is no place on earth."""
    try:
        tiles.check_lonlat(np.array(lonlat), 'position')
    except InputError as error:
        raise InputError(f'not a place on earth: {error}') from error
    row.lonlat = lonlat
