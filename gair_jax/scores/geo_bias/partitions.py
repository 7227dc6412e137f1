"""The three ways in which SRI cuts a neighbourhood into parts.

All places are latitude and longitude in radians; a part is a number from 0, or -1 for none.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from sklearn.neighbors import KDTree

from gair_jax.scores.geo_bias.neighbourhoods import Pairs


class Square:
    """Samples in a square of latitude and longitude around a centre, also across 180 degrees."""

    def __init__(self, places: Float[np.ndarray, 'n 2'], reach: float, *, published: bool) -> None:
        """Of places within `reach` (radians); as published, the square ends at 180 degrees."""
        rows, copies = np.arange(len(places)), places
        if not published:
            places = np.stack([places[:, 0], _turned(places[:, 1])], axis=-1)
            west, east = places[:, 1] < reach - np.pi, places[:, 1] > np.pi - reach
            turn = np.array([0, 2 * np.pi])
            rows = np.concatenate([rows, rows[west], rows[east]])
            copies = np.concatenate([places, places[west] + turn, places[east] - turn])
        self.places, self._copies, self._rows = places, copies, rows
        self._tree: Any = KDTree(copies, metric='chebyshev')
        self._reach = reach

    def cells(
        self, centres: Integer[np.ndarray, ' c'], side: float, half: int
    ) -> tuple[Pairs, Integer[np.ndarray, ' p']]:
        """Samples near centres (rows), and the cells of `side` that they lie in.

        The (2 half)^2 cells have a common corner at the centre, and hold their southern and western
        edges: the centre lies in the cell to its north-east.
        """
        found = self._tree.query_radius(self.places[centres], self._reach * (1 + 1e-9))
        centre = np.repeat(np.arange(len(centres)), [len(rows) for rows in found])
        copy = np.concatenate(found)
        at, there = self.places[centres][centre], self._copies[copy]
        index = half + _steps(there, at, side)
        inside = ((index >= 0) & (index < 2 * half)).all(axis=1)
        part = np.where(inside, index[:, 0] * 2 * half + index[:, 1], -1)
        # A square has no radius to be within; nothing reads the distances.
        return Pairs(centre, self._rows[copy], np.zeros(len(copy))), part


def distance_lags(
    distance: Float[np.ndarray, ' p'], lag: float, count: int
) -> Integer[np.ndarray, ' p']:
    """The ring [t lag, (t + 1) lag) of each distance, t < count."""
    index = _steps(distance, np.zeros(1), lag)
    return np.where(index < count, index, -1)


def direction_sectors(
    centre: Float[np.ndarray, 'p 2'],
    place: Float[np.ndarray, 'p 2'],
    count: int,
    *,
    published: bool,
) -> Integer[np.ndarray, ' p']:
    """The sector of the direction from a centre to a place, of `count` equal ones from north on.

    A place at the centre has no direction. As published, it has the one of its rounding; places
    south of the equator are mirrored in longitude, those on it have the direction of their
    meridian's foot; and sectors start at minus the centre's longitude.
    """
    step = 2 * np.pi / count
    if published:
        angle = _angles(centre, place, np.sign(place[:, 0])) - centre[:, 1]
        index = _steps(_wrapped(angle), np.full(1, -np.pi), step)
        return np.where(index < count, index, -1)
    index = _steps(_angles(centre, place, np.ones(len(place))), np.full(1, -np.pi), step)
    here = (centre == place).all(axis=1)
    return np.where(here, -1, np.minimum(index, count - 1))


def _angles(centre: np.ndarray, place: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """Longitudes once the centre is turned to the pole along its meridian: 0 south, pi/2 east."""
    (lat, lon), (centre_lat, centre_lon) = place.T, centre.T
    x, y, z = np.cos(lat) * np.cos(lon), sign * np.cos(lat) * np.sin(lon), np.sin(lat)
    along = x * np.cos(centre_lon) + y * np.sin(centre_lon)
    east = y * np.cos(centre_lon) - x * np.sin(centre_lon)
    return np.arctan2(east, along * np.sin(centre_lat) - z * np.cos(centre_lat))


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """Angles within [-pi, pi]; what is there is not touched."""
    return angle - 2 * np.pi * (angle > np.pi) + 2 * np.pi * (angle < -np.pi)


def _turned(lon: np.ndarray) -> np.ndarray:
    """Longitudes within [-pi, pi], whatever they were; what is there is not touched."""
    return np.where(np.abs(lon) <= np.pi, lon, (lon + np.pi) % (2 * np.pi) - np.pi)


def _steps(value: np.ndarray, start: np.ndarray, side: float) -> np.ndarray:
    """The i for which start + i side <= value < start + (i + 1) side, as computed in float64.

    Samples on a grid of the cells' side lie on their edges, where a quotient may round otherwise.
    """
    index = np.floor((value - start) / side)
    index -= value < start + index * side
    index += value >= start + (index + 1) * side
    return index.astype(np.int64)
