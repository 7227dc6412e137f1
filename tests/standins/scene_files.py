"""Scenes in closed form: what a pixel holds follows from where it is, its band and its date."""

import dataclasses
import datetime
import os
import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import rasterio
import rasterio.shutil

from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL

TEN_M = ('B02', 'B03', 'B04', 'B08')
SPREAD, STEP, LOWEST = 997, 150, 60
VEGETATION, CLOUD = 4, 9


def reflectance(x, y, band, date, bright=0):
    """10000 rho of the pixel of `band` that holds x, y (metres, UTM): noise, made by rule."""
    size = 10 if band in TEN_M else 20
    column, row = (np.floor(np.asarray(v, np.float64) / size).astype(np.int64) for v in (x, y))
    day = datetime.date.fromisoformat(date).toordinal()
    mixed = (column * 73856093) ^ (row * 19349663) ^ (BANDS.index(band) * 83492791 + day * 7919)
    mixed = (mixed & 0xFFFFFFFF) * 2654435761 & 0xFFFFFFFF
    return LOWEST + STEP * BANDS.index(band) + bright + (mixed >> 13) % SPREAD


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """A granule of the stand-in.

    seen: between these x (metres) it was seen; 0 elsewhere.
    clouded: between these x the classification says cloud.
    carries: whether its pixels hold the +1000.
    flag: what its item says of that: 'yes' (removed), 'no' or '' (nothing).
    absent: bands whose file is not there; broken: whose file is cut off.
    pixels: what another scene than the closed form holds: (scene, band) -> array.
    """

    date: str
    left: float
    top: float
    side: int = 512
    epsg: int = 32632
    mgrs: str = '32UMV'
    time: str = '10:36:31'
    platform: str = 'sentinel-2a'
    baseline: str = '02.12'
    cloud: float = 5.0
    seen: tuple[float, float] = (-np.inf, np.inf)
    clouded: tuple[float, float] = (0.0, 0.0)
    carries: bool = False
    flag: str = ''
    bright: int = 0
    absent: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    shape: str = 'earth_search'
    pixels: Callable[['Scene', str], np.ndarray] | None = None

    @property
    def id(self):
        # As in both catalogues no two granules of a square, a time and a baseline share a name.
        time = self.time.replace(':', '')
        baseline = self.baseline.replace('.', '')
        return f'{self.platform}_{self.mgrs}_{self.date}T{time}_{baseline}'

    def centres(self, size):
        """x, y of the centres of its pixels of 10 or 20 m."""
        steps = (np.arange(self.side * 10 // size) + 0.5) * size
        return np.meshgrid(self.left + steps, self.top - steps)

    def values(self, band):
        """What its file of a band, or 'SCL', holds."""
        if self.pixels is not None:
            return self.pixels(self, band)
        x, y = self.centres(10 if band in TEN_M else 20)
        unseen = (x < self.seen[0]) | (x >= self.seen[1])
        if band == SCL:
            cloudy = (x >= self.clouded[0]) & (x < self.clouded[1])
            return np.where(unseen, 0, np.where(cloudy, CLOUD, VEGETATION)).astype(np.uint8)
        found = reflectance(x, y, band, self.date, self.bright) + 1000 * self.carries
        return np.where(unseen, 0, found).astype(np.uint16)


def cog(scene, band, block):
    """Bytes of a cloud-optimised GeoTIFF, as of Earth Search: deflate, predictor 2, overviews."""
    values = scene.values(band)
    size = 10 * scene.side // len(values)
    form = {'driver': 'GTiff', 'count': 1, 'dtype': values.dtype, 'nodata': 0}
    form |= {'height': len(values), 'width': len(values), 'crs': f'EPSG:{scene.epsg}'}
    form['transform'] = rasterio.Affine(size, 0, scene.left, 0, -size, scene.top)
    with tempfile.TemporaryDirectory() as folder:
        raw, made = (os.path.join(folder, name) for name in ('raw.tif', 'cog.tif'))
        with rasterio.open(raw, 'w', **form) as sink:
            sink.write(values, 1)
        options = {'compress': 'DEFLATE', 'predictor': 2, 'blocksize': block}
        rasterio.shutil.copy(raw, made, driver='COG', **options)
        found = pathlib.Path(made).read_bytes()
    return found[: len(found) // 3] if band in scene.broken else found
