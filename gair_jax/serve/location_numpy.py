"""GAIR's location encoder with NumPy alone: places in, embeddings out (paper section 3.3).

`gair export` puts this file beside the weights into one .npz, to be run and to be imported:

    $ python location.npz 2.35 48.85

    >>> import sys; sys.path.insert(0, 'location.npz')
    >>> import gair_location
    >>> embedding = gair_location.encode([[2.35, 48.85]])  # longitude first; float32 [1, D]

An embedding is the sum over scales of a ReLU network on [cos, sin] of 2 pi times the projections
of a place, in Equal Earth coordinates, on the frequencies of that scale. Places and phases are
float64, because at the finest scale float32 phases are wrong by up to 1e-3; the networks are
float32. Embeddings are not normalized.
"""

import functools
import json
import os
import sys
from typing import Any, NamedTuple

import numpy as np

ARCHIVE = os.path.abspath(os.path.dirname(__file__))
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796  # Equal Earth, Savric et al. 2018
SCALE = 66.50336 / 180  # as the weights were trained with; x in [-1, 1]
CHUNK = 1024  # places worked on at once: some 50 MB at the default widths


class Weights(NamedTuple):
    """Frequencies [S, F, 2], then kernels [S, g, h] and biases [S, h] of each layer, in order."""

    frequencies: np.ndarray
    kernels: list[np.ndarray]
    biases: list[np.ndarray]


def encode(lonlat: Any) -> np.ndarray:
    """Embeddings, float32 [n, D], of places [n, 2] in degrees, WGS84, longitude first.

    Raises:
      ValueError: another shape, or a place that is none; says so where the two look swapped.
    """
    return embed(own_weights(), lonlat)


def metadata() -> dict[str, Any]:
    """Where the weights come from, their sizes, and what goes in and out."""
    with np.load(ARCHIVE) as stored:
        return json.loads(stored['metadata.json'])


@functools.cache
def own_weights() -> Weights:
    """The weights in the .npz that this file lies in."""
    return load(ARCHIVE)


def load(path: str) -> Weights:
    """The weights in an .npz that `gair export` wrote."""
    with np.load(path) as stored:
        layers = range(sum(name.startswith('kernel_') for name in stored.files))
        return Weights(
            stored['frequencies'],
            [stored[f'kernel_{i}'] for i in layers],
            [stored[f'bias_{i}'] for i in layers],
        )


def embed(weights: Weights, lonlat: Any) -> np.ndarray:
    """As `encode`, with weights given."""
    places = np.asarray(lonlat, np.float64)
    check(places)
    found = np.empty((len(places), weights.biases[-1].shape[-1]), np.float32)
    for start in range(0, len(places), CHUNK):
        chunk = slice(start, start + CHUNK)
        found[chunk] = networks(weights, fourier_features(weights.frequencies, places[chunk]))
    return found


def check(places: np.ndarray) -> None:
    """Raises ValueError unless every row is a longitude and a latitude."""
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f'expected places [n, 2], longitude first, found shape {places.shape}.')
    good = (np.abs(places) <= (180, 90)).all(axis=1)
    if good.all():
        return
    row = int(np.argmin(good))
    lon, lat = places[row]
    swapped = abs(lon) <= 90 and abs(lat) <= 180
    raise ValueError(
        f'place {row}: expected lon in [-180, 180] and lat in [-90, 90], found lon {lon}, '
        f'lat {lat}{"; they look swapped" if swapped else ""}.'
    )


def equal_earth(places: np.ndarray) -> np.ndarray:
    """Scaled Equal Earth coordinates [n, 2], float64."""
    lon, lat = np.deg2rad(places).T
    t = np.arcsin(np.sqrt(3) / 2 * np.sin(lat))
    x = (
        2
        * np.sqrt(3)
        * lon
        * np.cos(t)
        / (3 * (9 * A4 * t**8 + 7 * A3 * t**6 + 3 * A2 * t**2 + A1))
    )
    y = A4 * t**9 + A3 * t**7 + A2 * t**3 + A1 * t
    return np.stack([x, y], axis=-1) * SCALE


def fourier_features(frequencies: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[cos, sin] of each scale's phases, float32 [S, n, 2 F]."""
    turns = equal_earth(places) @ frequencies.astype(np.float64).swapaxes(1, 2)
    # Whole turns go while the phase is float64; what is left loses nothing in float32.
    phase = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)


def networks(weights: Weights, x: np.ndarray) -> np.ndarray:
    """The sum over scales of their networks, float32 [n, D], of features [S, n, 2 F]."""
    last = len(weights.kernels) - 1
    for i, (kernel, bias) in enumerate(zip(weights.kernels, weights.biases, strict=True)):
        x = x @ kernel + bias[:, None]
        x = x if i == last else np.maximum(x, 0)
    return x.sum(axis=0)


def main(arguments: list[str]) -> int:
    """Prints the embedding of the place LON LAT as a JSON list; 2 where it is no place."""
    try:
        lon, lat = map(float, arguments)
    except ValueError:
        print(f'usage: python {os.path.basename(ARCHIVE)} LON LAT', file=sys.stderr)
        return 2
    try:
        embedding = encode([[lon, lat]])[0]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print('[' + ', '.join(map(str, embedding)) + ']')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
