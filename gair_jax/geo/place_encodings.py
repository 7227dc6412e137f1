"""What each location encoder reads of a place, by the encoder's name.

Most read an encoding that is fixed: float64 NumPy on the host, rounded once at the end, so that it
is exact at its highest frequency. `ON_DEVICE` read longitude and latitude as they are: what they
encode a place by is kept with the parameters.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError, PlaceSizes
from gair_jax.geo import anchor_encodings, frequency_encodings
from gair_jax.geo.spherical_harmonics import FORMS, spherical_harmonics

# What each is, and its smallest and largest radius and number of frequencies where it has scales.
NAMES = {
    'wrap': 'sin and cos of both angles, a residual network (Mac Aodha et al. 2019)',
    'wrap_ffn': 'the same angles, a feed-forward network',
    'xyz': 'the unit vector',
    'nerf': 'the unit vector at 16 octaves (Mildenhall et al. 2020)',
    'rbf': 'distances to training places, as a Gaussian',
    'rff': 'random Fourier features of one scale (Rahimi and Recht 2007)',
    'tile': 'a learnt row for each cell of a grid',
    'grid': 'Space2Vec-grid (Mai et al. 2020)',
    'theory': 'Space2Vec-theory',
    'sphere_c': 'Sphere2Vec-sphereC (Mai et al. 2023)',
    'sphere_c_plus': 'Sphere2Vec-sphereC+',
    'sphere_m': 'Sphere2Vec-sphereM',
    'sphere_m_plus': 'Sphere2Vec-sphereM+',
    'dfs': 'Sphere2Vec-dfs, the double Fourier sphere',
    'harmonics': 'spherical harmonics',
    'satclip': 'spherical harmonics and a SIREN (Klemmer et al. 2025)',
    'geoclip': 'random Fourier features of three scales on Equal Earth (GeoCLIP, GAIR)',
}
RADII = {
    'grid': (0.02, 360.0), 'theory': (0.02, 360.0), 'sphere_c': (0.002, 1.0),
    'sphere_c_plus': (0.002, 1.0), 'sphere_m': (0.002, 1.0), 'sphere_m_plus': (0.002, 1.0),
    'dfs': (0.02, 1.0),
}  # fmt: skip
KERNELS = {'rbf': 5.0, 'rff': 20.0}  # where a size is 0
# Finest radius, or kernel, for labels of tens of thousands of places over the whole Earth, on which
# finer waves only told training places apart (MOSAIKS, docs/results.md).
WORLD = {
    'grid': 0.3, 'theory': 0.3, 'sphere_c': 0.005, 'sphere_c_plus': 0.005, 'sphere_m': 0.005,
    'sphere_m_plus': 0.005, 'rbf': 1.5, 'rff': 100.0,
}  # fmt: skip
MOST_CELLS = 1 << 20  # of tile: 1 GB a copy of the rows at 256 wide, and Adam holds three
MOST_DEGREES = 128  # 16 384 numbers a place
ON_DEVICE = ('geoclip', 'rff', 'rbf')
ACTIVATIONS = ('leaky_relu', 'relu', 'sigmoid', 'tanh', 'gelu')
_LEAST = {
    'frequencies': 0, 'min_radius': 0, 'max_radius': 0, 'degrees': 1, 'anchors': 1, 'kernel': 0,
    'cell': 0.01,
}  # fmt: skip

Encode = Callable[[np.ndarray], np.ndarray]
Sizes = TypeVar('Sizes', bound=PlaceSizes)


class Encoding(NamedTuple):
    """A fixed encoding: `encode`, places float64 [n, 2] to float64 [n, width], degrees."""

    encode: Encode
    width: int

    def __call__(self, lonlat: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n f']:
        """Encoded places, rounded to the float32 that networks read."""
        return self.encode(lonlat).astype(np.float32)


def encoding(name: str, sizes: PlaceSizes, where: str) -> Encoding | None:
    """What the host makes of a place for an encoder; None where that reads degrees (`ON_DEVICE`).

    Args:
      name: of `NAMES`.
      sizes: of the encoder.
      where: what a refusal begins with, as 'model.location'.

    Raises:
      InputError: a name or a size that cannot be.
    """
    if name not in NAMES:
        raise InputError(f'{where}.encoder: expected one of {", ".join(NAMES)}, found {name!r}.')
    check(sizes, f'{where}.sizes')
    if name in ON_DEVICE:
        return None
    try:
        encode = fixed(name, sizes)
        return Encoding(encode, encode(np.zeros((1, 2))).shape[1])
    except InputError as error:
        raise InputError(f'{where}.sizes: {error}') from error


def fixed(name: str, sizes: PlaceSizes) -> Encode:
    """The encoding, float64 [n, 2] to float64 [n, f], of a name that is not of `ON_DEVICE`."""
    if name in RADII:
        own = RADII[name]
        radii = sizes.min_radius or own[0], sizes.max_radius or own[1]
        count = sizes.frequencies or (8 if name == 'dfs' else 64)
        scales = frequency_encodings.frequencies(count, *radii)
        return functools.partial(frequency_encodings.SCALED[name], scales=scales)
    if name in ('harmonics', 'satclip'):
        if sizes.degrees > MOST_DEGREES:
            raise InputError(
                f'degrees: expected at most {MOST_DEGREES}, as a place has a number for each pair '
                f'of them, found {sizes.degrees}.'
            )
        return functools.partial(spherical_harmonics, degrees=sizes.degrees, form=sizes.form)
    if name == 'tile':
        extent = sizes.extent
        count = math.prod(anchor_encodings.cells(extent, sizes.cell))
        if count > MOST_CELLS:
            raise InputError(
                f'cell: expected at most {MOST_CELLS} cells in all, each with a row of its own, '
                f'found {count} of {sizes.cell:g} degrees in the extent {extent}.'
            )
        return lambda x: anchor_encodings.cell_of(x, extent, sizes.cell)[:, None]
    simple = {'xyz': frequency_encodings.unit_vectors, 'nerf': frequency_encodings.nerf}
    return simple.get(name, frequency_encodings.wrap)


def worldwide(name: str, sizes: Sizes) -> Sizes:
    """Sizes whose finest scale, where it is an encoder's own, is that of `WORLD`."""
    if name in KERNELS:
        return dataclasses.replace(sizes, kernel=sizes.kernel or WORLD[name])
    if name in WORLD:
        return dataclasses.replace(sizes, min_radius=sizes.min_radius or WORLD[name])
    return sizes


def coarser(name: str, sizes: Sizes, factor: float) -> Sizes:
    """Sizes of an encoder whose finest scale is `factor` times as large; finer below 1.

    Encoders without a scale (`wrap`, `xyz`, `nerf`, `geoclip`, whose scales are fixed) stay as they
    are.
    """
    if name in RADII:
        radius = sizes.min_radius or RADII[name][0]
        return dataclasses.replace(sizes, min_radius=radius * factor)
    if name in KERNELS:
        kernel = sizes.kernel or KERNELS[name]
        # Directions of rff are frequencies.
        return dataclasses.replace(sizes, kernel=kernel * (factor if name == 'rbf' else 1 / factor))
    if name == 'tile':
        return dataclasses.replace(sizes, cell=sizes.cell * factor)
    if name in ('harmonics', 'satclip'):
        return dataclasses.replace(sizes, degrees=max(1, round(sizes.degrees / factor)))
    return sizes


def check(sizes: PlaceSizes, where: str) -> None:
    """Refuses sizes that no encoder could have; `where` begins the sentence."""
    for name, bound in _LEAST.items():
        if not getattr(sizes, name) >= bound:
            found = getattr(sizes, name)
            raise InputError(f'{where}.{name}: expected {bound} or more, found {found}.')
    if wrong := [width for width in sizes.hidden if width < 1]:
        raise InputError(f'{where}.hidden: expected 1 or more, found {wrong[0]}.')
    for name, known in (('form', FORMS), ('activation', ACTIVATIONS)):
        if (found := getattr(sizes, name)) not in known:
            raise InputError(f'{where}.{name}: expected {" or ".join(known)}, found {found!r}.')
    extent = sizes.extent
    if len(extent) != 4 or not (extent[0] < extent[1] and extent[2] < extent[3]):
        raise InputError(f'{where}.extent: expected west, east, south, north, found {extent}.')
