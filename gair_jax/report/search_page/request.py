"""What `gair search` is asked for."""

import dataclasses
import math

import numpy as np

from gair_jax.config import InputError
from gair_jax.geo import tiles
from gair_jax.serve.windows import OVERLAP


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is looked for, where, and how.

    Attributes:
      checkpoint, revision, compute: see `gair_jax.load`.
      photos: paths of photos whose place is asked for.
      tile: path of a GeoTIFF, '' for none.
      gallery: path of a table of `gair embed`, '' for none.
      place: lon and lat; of the photos, where they are known to have been taken; () for none.
      top: answers a query.
      side: of the gallery, that photos are compared with: localized, location or rs; '' is the
        first of them that it has.
      spacing: of points in the tile, pixels; 0 is the choice of `serve.search.divisions`.
      apart: metres between places found; 0 is a sixth of a window.
      window, overlap, offset, band_order: how the tile is read; window 0 and offset None are those
        of the checkpoint.
      root: folder that the gallery's photos lie under.
      thumbnails: photos in the page at the most.
      other_checkpoint: allow a gallery that another checkpoint made.
    """

    checkpoint: str
    revision: str = ''
    compute: str = ''
    photos: tuple[str, ...] = ()
    tile: str = ''
    gallery: str = ''
    place: tuple[float, ...] = ()
    top: int = 10
    side: str = ''
    spacing: float = 0.0
    apart: float = 0.0
    window: int = 0
    overlap: float = OVERLAP
    offset: float | None = None
    band_order: str = ''
    root: str = '.'
    thumbnails: int = 300
    other_checkpoint: bool = False

    def check(self) -> None:
        """Raises InputError for a request that asks nothing, or for a number out of range."""
        if self.photos and not (self.tile or self.gallery):
            raise InputError('search: expected --tile or --gallery to look for the photo in.')
        if not self.photos and not (self.gallery and (self.tile or self.place)):
            raise InputError(
                'search: expected --photo with --tile or --gallery, or --gallery with --place or '
                '--tile.'
            )
        if self.place and len(self.photos) > 1:
            raise InputError(
                f'place: expected one photo that was taken there, found {len(self.photos)}.'
            )
        if self.window < 0:
            raise InputError(f'window: expected pixels, more than 0, found {self.window}.')
        if self.top < 1:
            raise InputError(f'top: expected at least 1, found {self.top}.')
        if self.thumbnails < 0:
            raise InputError(f'thumbnails: expected at least 0, found {self.thumbnails}.')
        if not (math.isfinite(self.apart) and self.apart >= 0):
            raise InputError(f'apart: expected metres, at least 0, found {self.apart}.')
        if self.place:
            tiles.check_lonlat(np.array(self.place, np.float64), 'place')
