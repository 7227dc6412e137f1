"""Scenes to map: smooth, in UTM, with a hole in them."""

import numpy as np

from tests.builders import scenes

CORNER, STEP, CRS = (500_000.0, 5_300_000.0), 10.0, 'EPSG:32632'


def smooth(height, width, seed=0, bands=12):
    """Stored values [bands, height, width] that change slowly, as far as 1 to 4000."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.zeros((bands, height, width))
    for band in waves:
        for _ in range(4):
            a, b, phase = rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.08), rng.uniform(0, 6)
            band += np.sin(a * x + b * y + phase)
    return (2000 + 450 * waves).astype(np.uint16)


def write(path, values=None, hole=(), **options):
    """A scene; pixels of the box `hole` (row, col, rows, cols) hold no data."""
    values = smooth(60, 52) if values is None else values
    if hole:
        row, col, rows, cols = hole
        values[:, row : row + rows, col : col + cols] = 0
    return scenes.write_tile(path, values, CORNER, CRS, **{'step': STEP, **options})
