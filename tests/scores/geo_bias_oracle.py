"""Geo-bias scores read from their definitions, with whole distance matrices and loops.

Nothing here is shared with what it checks; equal distances are decided both ways.
"""

import numpy as np

EARTH_RADIUS_KM = 6371.0


def unit(lonlat):
    lon, lat = np.deg2rad(lonlat).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def apart(a, b):
    """Angles between places [n, m], by the chord."""
    chord = np.linalg.norm(unit(a)[:, None] - unit(b)[None], axis=-1)
    return 2 * np.arcsin(chord / 2)


def bearings(centre, lonlat):
    """Clockwise from north, from a centre to places, 0..2 pi."""
    (lon, lat), (to_lon, to_lat) = np.deg2rad(centre), np.deg2rad(lonlat).T
    east = np.sin(to_lon - lon) * np.cos(to_lat)
    north = np.cos(lat) * np.sin(to_lat) - np.sin(lat) * np.cos(to_lat) * np.cos(to_lon - lon)
    return np.arctan2(east, north) % (2 * np.pi)


def destination(centre, bearing, distance):
    """The lonlat at a bearing and a distance (radians) from a centre."""
    lon, lat = np.deg2rad(centre)
    to_lat = np.arcsin(
        np.sin(lat) * np.cos(distance) + np.cos(lat) * np.sin(distance) * np.cos(bearing)
    )
    to_lon = lon + np.arctan2(
        np.sin(bearing) * np.sin(distance) * np.cos(lat),
        np.cos(distance) - np.sin(lat) * np.sin(to_lat),
    )
    return np.rad2deg(np.stack([to_lon, to_lat], axis=-1))


def rings(centre, radius, samples):
    """Points of background: ring t holds ceil(2 pi t), the first of each to the north."""
    step = 1 / np.sqrt(np.ceil(5 * samples / (np.pi * radius**2)))
    made = []
    for t in range(1, int(np.ceil(radius / step)) + 1):
        count = int(np.ceil(2 * np.pi * t))
        made.append(destination(centre, -2 * np.pi * np.arange(count) / count, t * step))
    return np.concatenate(made)


def nearest(places, count, *, last_first):
    """Which others are among the nearest of each, bool [n, n]; of equals the first, or the last."""
    distance = apart(places, places).round(11)
    np.fill_diagonal(distance, np.inf)
    order = np.arange(len(places))[:: -1 if last_first else 1]
    linked = np.zeros(distance.shape, bool)
    for row, found in zip(linked, distance, strict=True):
        row[order[np.argsort(found[order], kind='stable')[:count]]] = True
    return linked


def morans_i(lonlat, marks, centre, *, radius_km, neighbourhood, weights):
    """Moran's I of the samples around a centre (a row) and the background; all values; n.

    I is [2], for both orders of equal distances: on the bearing on which all rings begin, a point
    of the first ring is as far from the centre as from the second ring.
    """
    radius = radius_km / EARTH_RADIUS_KM
    distance = apart(lonlat[centre][None], lonlat)[0]
    near = np.argsort(distance)[:neighbourhood]
    near = near[distance[near] <= radius]
    empty = rings(lonlat[centre], radius, len(near))
    values = np.concatenate([marks[near], np.zeros(len(empty))])
    z = values - values.mean()
    places = np.concatenate([lonlat[near], empty])
    both = [z @ nearest(places, weights, last_first=order) @ z for order in (False, True)]
    return both, values, len(near)


def moments(values, counts):
    """The formulas of the source read one term at a time, in its own order."""
    n, common = sum(counts), counts.index(max(counts))
    centre = sum(c * k for c, k in zip(values, counts, strict=True)) / n
    apart, mean, variance = [c - centre for c in values], 0.0, 0.0
    for i, a in enumerate(counts):
        for j, b in enumerate(counts):
            number = 4 * a * b / n if i != j else 4 * a * (a - 1) / n - 1
            mean += apart[i] * apart[j] * number
            if common in (i, j):
                continue
            if i == j:
                factor = (values[i] - values[common]) ** 4
                variance += factor * 8 * a * (a - 1) / n * (1 - 4 * (2 * a - 1) / (3 * n))
            else:
                zero = apart[common]
                factor = (apart[i] * apart[j] - 2 * apart[i] * zero + zero**2) ** 2
                variance += factor * 4 * a * b / n * (1 - 4 * max(a, b) / n)
    return mean, variance


def kl(whole, part, edges):
    """KL divergence of histograms with given edges, or so many bins over each one's range."""
    shares = [np.histogram(values, bins=edges)[0] / len(values) for values in (whole, part)]
    return sum(p * np.log(p / (q + 1e-8)) for p, q in zip(*shares, strict=True) if p > 0)


def relative_information(
    lonlat, values, centre, *, radius_km, scale_km, lag_km, sectors, least, own_range=False
):
    """Scores of the three partitions around a centre (a row); nan for none."""
    radius, scale, lag = (km / EARTH_RADIUS_KM for km in (radius_km, scale_km, lag_km))
    distance = apart(lonlat[centre][None], lonlat)[0]
    near = distance <= radius
    lon = np.deg2rad((lonlat[:, 0] - lonlat[centre, 0] + 180) % 360 - 180)
    lat = np.deg2rad(lonlat[:, 1] - lonlat[centre, 1])
    half = int(np.ceil(radius / scale - 1e-9))
    cells = [
        (lat >= i * scale) & (lat < (i + 1) * scale) & (lon >= j * scale) & (lon < (j + 1) * scale)
        for i in range(-half, half)
        for j in range(-half, half)
    ]
    rings_ = [
        near & (distance >= lag * t) & (distance < lag * (t + 1))
        for t in range(int(np.ceil(radius / lag - 1e-9)))
    ]
    others, turn = near & (np.arange(len(near)) != centre), bearings(lonlat[centre], lonlat)
    width = 2 * np.pi / sectors
    wedges = [others & (turn >= t * width) & (turn < (t + 1) * width) for t in range(sectors)]
    edges = 2 if own_range else np.histogram_bin_edges(values, 2)
    made = []
    for parts in (cells, rings_, wedges):
        kept = [part for part in parts if part.sum() >= least]
        terms = [part.sum() / near.sum() * kl(values[near], values[part], edges) for part in kept]
        made.append(sum(terms) if kept else np.nan)
    return made
