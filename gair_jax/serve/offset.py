"""Says when a raster seems to carry the 1000 that newer Sentinel-2 products add to every value."""

import sys

import numpy as np

from gair_jax.input.raster_files import Raster
from gair_jax.serve.doctor.rasters import DARKEST, OFFSET, looks_offset

SIDE, LOOKS = 128, 4  # of the squares that are looked at, and how many along each axis


def warn(raster: Raster) -> None:
    """Prints a sentence to stderr where nothing subtracts what the doctor takes for an offset."""
    sensor = raster.sensor
    if sensor.unit != 'DN' or sensor.offset or not looks_offset(_sample(raster)):
        return
    print(
        f'warning: {raster.name}: the darkest values of every band reach {DARKEST}, so it seems to '
        f'carry the offset of newer Sentinel-2 products; --offset {OFFSET} subtracts it.',
        file=sys.stderr,
    )


def _sample(raster: Raster) -> np.ndarray:
    """Stored values [n, c] of pixels with data, from squares spread over the raster."""
    size = [min(SIDE, n) for n in raster.shape]
    rows, cols = (
        np.unique(np.linspace(0, n - s, LOOKS).astype(int))
        for n, s in zip(raster.shape, size, strict=True)
    )
    seen = []
    for row in rows:
        for col in cols:
            bands = raster.window(int(row), int(col), size[0], size[1])
            seen.append(bands[~raster.sensor.missing(bands)])
    return np.concatenate(seen)
