"""Places <-> positions in a tile (the paper's Psi), in float64 on the host.

A tile is a box (left, top, right, bottom) in some CRS. `tile_xy` is relative to it: x runs from -1
at the left edge to 1 at the right, y from -1 at the top to 1 at the bottom, so x points east and y
south, as columns and rows do. Points outside are never clamped: they are refused by name.
"""

import functools
from typing import Any

import numpy as np
import pyproj
from jaxtyping import Float

from gair_jax.config import InputError

WGS84 = 'EPSG:4326'
# Rounding of a projection and back, in tile_xy: far below a pixel, far above float64's own step.
EDGE = 1e-9


def relative_position(point: Float[Any, '*#batch 2'], bounds: Float[Any, '*#batch 4']) -> Any:
    """Where `point` lies in the box: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom).

    Both in the same CRS. Computed in the type given: float32 degrees lose up to 0.008 of a patch.
    """
    left, top, right, bottom = (bounds[..., i] for i in range(4))
    x = (point[..., 0] - left) / (right - left)
    y = (top - point[..., 1]) / (top - bottom)
    return np.stack([x, y], axis=-1)


def lonlat_to_tile_xy(
    lonlat: Float[np.ndarray, '*batch 2'], bounds: Float[np.ndarray, '4'], crs: str
) -> Float[np.ndarray, '*batch 2']:
    """tile_xy of places; outside [-1, 1] when outside the tile, inf where the CRS has no value.

    Args:
      lonlat: degrees, WGS84, float64.
      bounds: (left, top, right, bottom) in the units of `crs`; a box over the antimeridian goes on
        beyond 180 degrees.
      crs: anything that pyproj reads, as 'EPSG:32654' or WKT.

    Raises:
      InputError: the box is empty or turned over, or the CRS is unknown.
    """
    check_bounds(bounds)
    to_crs, _, geographic = _transformers(crs)
    point = _transform(to_crs, lonlat)
    if geographic:
        middle = (bounds[0] + bounds[2]) / 2
        point[..., 0] += 360 * np.round((middle - point[..., 0]) / 360)
    return 2 * relative_position(point, bounds) - 1


def tile_xy_to_lonlat(
    tile_xy: Float[np.ndarray, '*batch 2'], bounds: Float[np.ndarray, '4'], crs: str
) -> Float[np.ndarray, '*batch 2']:
    """The inverse of `lonlat_to_tile_xy`; lon in [-180, 180]."""
    check_bounds(bounds)
    left, top, right, bottom = bounds
    x = left + (tile_xy[..., 0] + 1) / 2 * (right - left)
    y = top + (tile_xy[..., 1] + 1) / 2 * (bottom - top)
    lonlat = _transform(_transformers(crs)[1], np.stack([x, y], axis=-1))
    over = np.abs(lonlat[..., 0]) > 180
    lonlat[over, 0] -= 360 * np.sign(lonlat[over, 0])
    return lonlat


def place_in_tile(
    lonlat: Float[np.ndarray, '*batch 2'], bounds: Float[np.ndarray, '4'], crs: str, name: str
) -> Float[np.ndarray, '*batch 2']:
    """tile_xy of places that must lie in the tile; `name` says in errors whose places they are.

    Raises:
      InputError: a place is no place, or is outside the tile (and says when lon and lat, swapped,
        would be inside).
    """
    check_lonlat(lonlat, name)
    tile_xy = lonlat_to_tile_xy(lonlat, bounds, crs)
    outside = _outside(tile_xy)
    if outside.any():
        first = np.argmax(outside.reshape(-1))
        raise InputError(explain_outside(lonlat.reshape(-1, 2)[first], bounds, crs, name))
    return tile_xy


def require_inside(tile_xy: Float[np.ndarray, '*batch 2'], name: str) -> None:
    """Raises InputError that names the first position outside [-1, 1] and by how much."""
    outside = _outside(tile_xy)
    if outside.any():
        worst = tile_xy.reshape(-1, 2)[np.argmax(outside.reshape(-1))]
        raise InputError(f'{name}: expected a point inside its tile, found one {_beyond(worst)}.')


def explain_outside(
    lonlat: Float[np.ndarray, '2'], bounds: Float[np.ndarray, '4'], crs: str, name: str
) -> str:
    """One sentence on a place outside its tile, which says when swapping lon and lat cures it."""
    lon, lat = lonlat
    tile_xy = lonlat_to_tile_xy(lonlat, bounds, crs)
    text = f'{name}: lon {lon:.6f}, lat {lat:.6f} is outside its tile, {_beyond(tile_xy)}'
    if abs(lon) <= 90 and not _outside(lonlat_to_tile_xy(lonlat[::-1].copy(), bounds, crs)):
        return text + '; with lon and lat swapped it would be inside.'
    return text + '.'


def check_lonlat(lonlat: Float[np.ndarray, '*batch 2'], name: str) -> None:
    """Raises InputError unless every lon is in [-180, 180] and every lat in [-90, 90] degrees."""
    flat = lonlat.reshape(-1, 2)
    good = _is_place(flat)
    if good.all():
        return
    lon, lat = flat[np.argmin(good)]
    text = f'{name}: expected lon in [-180, 180] and lat in [-90, 90], found lon {lon}, lat {lat}'
    if _is_place(np.array([lat, lon])):
        text += '; they look swapped'
    raise InputError(text + '.')


def check_bounds(bounds: Float[np.ndarray, '4']) -> None:
    """Raises InputError unless left < right and bottom < top, all finite."""
    left, top, right, bottom = bounds
    if not (np.isfinite(bounds).all() and left < right and bottom < top):
        raise InputError(
            'tile bounds: expected left < right and bottom < top, found '
            f'left {left}, top {top}, right {right}, bottom {bottom}.'
        )


def _is_place(lonlat: np.ndarray) -> np.ndarray | np.bool_:
    return (np.abs(lonlat[..., 0]) <= 180) & (np.abs(lonlat[..., 1]) <= 90)


def _outside(tile_xy: np.ndarray) -> np.ndarray | np.bool_:
    # The negation also catches nan.
    return ~(np.abs(tile_xy) <= 1 + EDGE).all(axis=-1)


def _beyond(tile_xy: np.ndarray) -> str:
    """How far outside, counted in tile widths and heights."""
    if not np.isfinite(tile_xy).all():
        return 'where its CRS has no coordinates'
    x, y = tile_xy
    parts = []
    if abs(x) > 1 + EDGE:
        parts.append(f'{(abs(x) - 1) / 2:.3g} tile widths to the {"east" if x > 0 else "west"}')
    if abs(y) > 1 + EDGE:
        parts.append(f'{(abs(y) - 1) / 2:.3g} tile heights to the {"south" if y > 0 else "north"}')
    return ' and '.join(parts)


@functools.lru_cache(maxsize=256)
def _transformers(crs: str) -> tuple[Any, Any, bool]:
    """(WGS84 -> crs, crs -> WGS84, crs is in degrees); the first two are None for WGS84."""
    try:
        parsed = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise InputError(f'crs: expected a name like EPSG:32633, found {crs!r}.') from error
    if parsed == pyproj.CRS.from_user_input(WGS84):
        return None, None, True
    forward = pyproj.Transformer.from_crs(WGS84, parsed, always_xy=True)
    back = pyproj.Transformer.from_crs(parsed, WGS84, always_xy=True)
    return forward, back, parsed.is_geographic


def _transform(transformer: Any, points: np.ndarray) -> np.ndarray:
    """A new float64 array of transformed points."""
    points = np.array(points, np.float64)
    if transformer is None:
        return points
    x, y = transformer.transform(points[..., 0], points[..., 1])
    return np.stack([x, y], axis=-1)
