"""Rows of a table -> their embeddings: photos, places, tiles, and places in tiles.

Photos are decoded and resized by threads while the device works on earlier ones. What cannot be
used is noted in its row, and holds up no other.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from gair_jax.config import InputError
from gair_jax.input import photo_files
from gair_jax.input.raster_files import Raster
from gair_jax.serve import offset
from gair_jax.serve.ahead import ahead
from gair_jax.serve.embedder import BATCH, Embedder, unit
from gair_jax.serve.place_rows import NOWHERE, PlaceRow, place
from gair_jax.serve.tile_batches import TileReading, embed_tiles

WHAT = ('location', 'sv', 'rs', 'localized')
INSPECTED = 3  # tiles of a run in which the offset of newer products is looked for

Vectors = dict[int, np.ndarray]  # by number of the row


class Shown(NamedTuple):
    """A row with the network input of its photo; None without one."""

    row: PlaceRow
    photo: np.ndarray | None


class RowEmbedder:
    """Embeds rows by one checkpoint.

    Attributes:
      what: the embeddings made, of `WHAT`.
      pool: its threads; whoever makes this closes them.
    """

    def __init__(
        self,
        embedder: Embedder,
        reading: TileReading,
        what: Sequence[str],
        *,
        placed: bool,
        normalize: bool = False,
    ) -> None:
        """Sets what is made of rows.

        Args:
          embedder: of `gair_jax.load`.
          reading: how tiles are read, from where, and the space of all embeddings.
          what: of `WHAT`.
          placed: whether a row without a position is one that cannot be used.
          normalize: scale to unit length.
        """
        self.what, self._embedder, self._reading = tuple(what), embedder, reading
        self._placed, self._normalize = placed, normalize
        self._wants_places = bool({'location', 'localized'} & {*what})
        self._inspected = 0
        self.pool = ThreadPoolExecutor(max_workers=os.cpu_count())

    def width(self, what: str) -> int:
        """Length of the embeddings of one kind."""
        return self._embedder.width(what, self._reading.space)

    def show(self, rows: Iterable[PlaceRow]) -> Iterator[Shown]:
        """The rows with their photos, some of which are read ahead of the one asked for."""
        return ahead(self.pool, self._show, rows, 2 * BATCH)

    def embed(self, shown: Iterable[Shown]) -> tuple[list[PlaceRow], dict[str, np.ndarray]]:
        """The rows, what failed noted in them, and each kind as float32 [n, d], nan for none."""
        rows, photos = self._photos(shown)
        found = {'sv': photos, 'location': self._places(rows)}
        if self._reading.pooled or self._reading.localized:
            made = embed_tiles(self._embedder, self._reading, rows, self.pool, self._inspect)
            found |= {'rs': made.pooled, 'localized': made.localized}
        for row in rows:
            if not row.problems and not any(row.row in found[what] for what in self.what):
                row.fail('row', f'nothing to embed as {" or ".join(self.what)}')
        return rows, {what: self._dense(rows, what, found[what]) for what in self.what}

    def _show(self, row: PlaceRow) -> Shown:
        """Reads a photo if it is wanted, or wanted for where its EXIF says it was taken."""
        self._forget_unwanted(row)
        wants_place = self._wants_places and not row.located and 'position' not in row.problems
        if not row.photo or not ('sv' in self.what or wants_place):
            return Shown(row, None)
        photo, lonlat = None, NOWHERE
        try:
            read = photo_files.read(self._reading.root / row.photo)
            lonlat = read.lonlat
            photo = self._embedder.photo_input(read.image) if 'sv' in self.what else None
        except InputError as error:
            row.fail('photo', error)
        if wants_place and not np.isnan(lonlat).any():
            try:
                place(row, lonlat)
            except InputError as error:
                row.fail('position', f'EXIF: {error}')
        return Shown(row, photo)

    def _forget_unwanted(self, row: PlaceRow) -> None:
        """Drops what is wrong with things that nothing is made of."""
        if not self._reading.pooled and not self._reading.localized:
            row.problems.pop('tile', None)
        if not self._wants_places:
            row.problems.pop('position', None)
        if 'sv' not in self.what and (row.located or not self._wants_places):
            row.problems.pop('photo', None)

    def _photos(self, shown: Iterable[Shown]) -> tuple[list[PlaceRow], Vectors]:
        """The rows, and embeddings of their photos."""
        rows: list[PlaceRow] = []
        found: Vectors = {}
        waiting: list[Shown] = []
        for one in shown:
            rows.append(one.row)
            if one.photo is not None:
                waiting.append(one)
            if len(waiting) == BATCH:
                found |= self._encoded(waiting)
                waiting = []
        return rows, found | self._encoded(waiting)

    def _encoded(self, shown: Sequence[Shown]) -> Vectors:
        if not shown:
            return {}
        photos = [one.photo for one in shown if one.photo is not None]
        made = self._embedder.encode_inputs('sv', photos, space=self._reading.space)
        return {one.row.row: vector for one, vector in zip(shown, made, strict=True)}

    def _places(self, rows: Sequence[PlaceRow]) -> Vectors:
        """Embeddings of the places of rows; those that lack one they should have are told."""
        for row in rows if self._placed and self._wants_places else ():
            if not row.located and 'position' not in row.problems:
                row.fail('position', 'no position: neither lon and lat nor EXIF GPS')
        placed = [row for row in rows if row.located]
        if not placed or 'location' not in self.what:
            return {}
        lonlat = np.array([row.lonlat for row in placed])
        made = self._embedder.encode_location(lonlat, space=self._reading.space)
        return {row.row: vector for row, vector in zip(placed, made, strict=True)}

    def _dense(self, rows: Sequence[PlaceRow], what: str, found: Vectors) -> np.ndarray:
        values = np.full((len(rows), self.width(what)), np.nan, np.float32)
        for i, row in enumerate(rows):
            if row.row in found:
                values[i] = found[row.row]
        return unit(values) if self._normalize else values

    def _inspect(self, raster: Raster) -> None:
        if self._inspected < INSPECTED:
            self._inspected += 1
            offset.warn(raster)
