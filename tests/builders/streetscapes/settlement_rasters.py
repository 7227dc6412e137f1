"""Rasters like GHS-SMOD (Mollweide, 1 km) and rasters of strata, made by the tests."""

import numpy as np
import pyproj
import rasterio

MOLLWEIDE = 'ESRI:54009'


def corner(lon, lat):
    """The whole kilometre west and north of a place, metres of Mollweide."""
    x, y = pyproj.Transformer.from_crs(4326, MOLLWEIDE, always_xy=True).transform(lon, lat)
    return float(x // 1000 * 1000), float(-(-y // 1000) * 1000)


def write(path, values, left, top, *, crs=MOLLWEIDE, side=1000.0, nodata=-200, **form):
    """A GeoTIFF of one band (or of several: values [c, h, w])."""
    bands = np.asarray(values).reshape(-1, *np.shape(values)[-2:])
    form |= {'driver': 'GTiff', 'dtype': bands.dtype, 'count': len(bands), 'nodata': nodata}
    form |= {'height': bands.shape[1], 'width': bands.shape[2], 'crs': crs}
    form['transform'] = rasterio.Affine(side, 0, left, 0, -side, top)
    with rasterio.open(path, 'w', **form) as sink:
        sink.write(bands)
    return path


def country(seed=0, rows=230, columns=220):
    """Codes of 3 x 3 blocks, the last ones cut: towns in some, a sea, no data on the border."""
    rng = np.random.default_rng(seed)
    codes = rng.choice([11, 12, 13], (rows, columns), p=[0.8, 0.15, 0.05]).astype(np.int16)
    for row, column in ((20, 30), (60, 150), (130, 40), (150, 120)):
        codes[row : row + 14, column : column + 14] = rng.choice([21, 22, 23, 30], (14, 14))
    codes[:, 60:90] = 10
    codes[-3:] = -200
    return codes
