"""How likely classes are at a place, counted on training rows: what a network must beat.

With c_k rows of class k among those looked at and C classes:

  frequency    (c_k + 1) of all training rows
  neighbours   (c_k + 1) of the nearest ones
  radius       (c_k + 1) of those within an angle
  histogram    (c_k + b) of those in the same cell of a grid, b the pseudo-count
  kernel       (sum of exp(-d^2 / 2 h^2) + 1) of the nearest ones, d the angle from the place

each divided by its sum over classes. After the baselines of TorchSpatial (Wu et al. 2024) and Mac
Aodha et al. 2019; distances here are along the great circle, where they take the plane of degrees
for iNat2018, and the kernel has one width, where theirs adapts.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse
import scipy.spatial
from jaxtyping import Float, Int

from gair_jax.geo.frequency_encodings import unit_vectors
from gair_jax.transfer.species_settings import CountedConfig

Prior = Callable[[np.ndarray], np.ndarray]
# Places whose neighbours are listed together: a list of a busy city holds thousands.
LISTED = 64


def build(
    name: str,
    settings: CountedConfig,
    lonlat: Float[np.ndarray, 'm 2'],
    label: Int[np.ndarray, ' m'],
    classes: int,
) -> Prior:
    """A prior: degrees [b, 2] to float64 [b, C], rows that add up to 1.

    Args:
      name: of `species_settings.COUNTED`.
      settings: of it.
      lonlat: training places, degrees.
      label: their classes.
      classes: how many there are.
    """
    if name == 'frequency':
        counts = np.bincount(label, minlength=classes) + 1.0
        return lambda places: np.tile(counts / counts.sum(), (len(places), 1))
    if name == 'histogram':
        return _histogram(settings, lonlat, label, classes)
    if name == 'radius':
        return _radius(settings, lonlat, label, classes)
    tree = scipy.spatial.KDTree(unit_vectors(lonlat))
    count = settings.neighbours if name == 'neighbours' else settings.kernel_neighbours
    width = 0.0 if name == 'neighbours' else np.deg2rad(settings.kernel_degrees)

    def prior(places: np.ndarray) -> np.ndarray:
        chord, at = tree.query(unit_vectors(places), k=range(1, min(count, len(label)) + 1))
        angle = 2 * np.arcsin(np.minimum(chord / 2, 1))
        weights = np.exp(-(angle**2) / (2 * width**2)) if width else np.ones(angle.shape)
        return _shares(label[at], weights, classes)

    return prior


def _shares(label: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Weights [b, k] summed by class, plus 1, as shares [b, C]."""
    row = np.repeat(np.arange(len(label)), label.shape[1])
    sums = np.bincount(row * classes + label.ravel(), weights.ravel(), len(label) * classes)
    return _normalised(sums.reshape(-1, classes) + 1)


def _normalised(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum(axis=1, keepdims=True)


def _radius(settings: CountedConfig, lonlat: np.ndarray, label: np.ndarray, classes: int) -> Prior:
    tree = scipy.spatial.KDTree(unit_vectors(lonlat))
    chord = 2 * np.sin(np.deg2rad(min(settings.radius_degrees, 180.0)) / 2)

    def prior(places: np.ndarray) -> np.ndarray:
        counts = np.ones((len(places), classes))
        for start in range(0, len(places), LISTED):
            here = unit_vectors(places[start : start + LISTED])
            for row, near in enumerate(tree.query_ball_point(here, chord), start):
                counts[row] += np.bincount(label[near], minlength=classes)
        return _normalised(counts)

    return prior


def _histogram(
    settings: CountedConfig, lonlat: np.ndarray, label: np.ndarray, classes: int
) -> Prior:
    shape = (settings.columns * settings.rows, classes)

    def cell(places: np.ndarray) -> np.ndarray:
        size = settings.columns, settings.rows
        at = np.floor((places + [180, 90]) / [360, 180] * size).astype(np.int64)
        # 180 degrees east and the north pole belong to the last cells.
        at = np.clip(at, 0, np.array(size) - 1)
        return at[:, 1] * settings.columns + at[:, 0]

    # Cells by classes are mostly empty: dense, 10 800 x 8142 would take 0.7 GB.
    counts = scipy.sparse.coo_array((np.ones(len(label)), (cell(lonlat), label)), shape).tocsr()
    return lambda places: _normalised(counts[cell(places)].toarray() + settings.pseudo_count)
