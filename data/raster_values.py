"""Values of a raster at places: what a map of people or of land cover says of them."""

import pathlib

import numpy as np
import pyproj
import rasterio
import rasterio.errors
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.input.warning_filters import filtered

ROWS = 1024  # of the raster that are in memory at a time


def at_places(path: pathlib.Path, lonlat: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, ' n']:
    """Values of a raster of one band at the pixels that hold some places, float64.

    nan outside the raster, where it holds no data, and where a place is not known. Blocks of rows
    are read one after the other, so that a raster of the whole Earth fits in memory.

    Args:
      path: of a GeoTIFF.
      lonlat: degrees.

    Raises:
      InputError: it cannot be read, does not say where it lies, or has several bands.
    """
    try:
        with filtered(error=None, ignore=rasterio.errors.NotGeoreferencedWarning):
            source = rasterio.open(path, driver='GTiff')
    except rasterio.errors.RasterioError as error:
        raise InputError(f'{path}: cannot be read as a GeoTIFF (raster): {error}.') from error
    with source:
        if source.count != 1 or source.crs is None:
            raise InputError(
                f'{path}: expected one band and a CRS (raster), found {source.count} and '
                f'{source.crs}.'
            )
        return _sampled(source, lonlat)


def _sampled(source: rasterio.DatasetReader, lonlat: np.ndarray) -> np.ndarray:
    to_raster = pyproj.Transformer.from_crs('EPSG:4326', source.crs, always_xy=True)
    x, y = to_raster.transform(lonlat[:, 0], lonlat[:, 1])  # inf where there is no such place
    a, b, c, d, e, f = tuple(~source.transform)[:6]
    with np.errstate(invalid='ignore'):
        col, row = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
    inside = np.isfinite(col) & np.isfinite(row)
    inside &= (col >= 0) & (col < source.width) & (row >= 0) & (row < source.height)
    found = np.full(len(lonlat), np.nan)
    col, row = (np.where(inside, v, 0).astype(np.int64) for v in (col, row))
    for start in range(0, source.height, ROWS):
        here = np.flatnonzero(inside & (row >= start) & (row < start + ROWS))
        if not len(here):
            continue
        rows = (start, min(start + ROWS, source.height))
        band = source.read(1, window=(rows, (0, source.width)), masked=True)
        # Only what is asked for as floats: a band of rows of the whole Earth is large.
        values = band[row[here] - start, col[here]]
        found[here] = values.astype(np.float64).filled(np.nan)
    return found
