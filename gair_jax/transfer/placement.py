"""Which test photos may be used so that their position in the window says nothing.

A window is cut at random around its photo, but near a tile's border fewer offsets are possible, and
the photo then lies more often near the window's border too. Each photo is therefore kept with a
probability that evens this out: the rarest cell's density over that of its own cell. Where no
photo is near a border every density is one and every photo is kept.
"""

import numpy as np
from scipy import stats

from gair_jax.config import InputError

# Below this density of the rarest cell, evening out would throw nearly everything away.
LEAST_DENSITY = 0.2
# A uniform set of windows fails the test once in a thousand data sets.
LEAST_P = 1e-3


def keep_uniform(
    position: np.ndarray, offset: np.ndarray, tile: np.ndarray, window: np.ndarray, *, seed: int
) -> np.ndarray | None:
    """Which photos to keep so that their positions in the windows are uniform.

    Args:
        position: float64 [n, 2], row and column of the photo in its tile, pixels from the corner.
        offset: int [n, 2], row and column of its window, drawn at random among the possible ones.
        tile: int [n, 2], rows and columns of the tile.
        window: int [n, 2], rows and columns of the window.
        seed: of the draw.

    Returns:
        bool [n]; None where no choice could make them uniform, because some cells of the window
        hardly ever hold a photo (windows as large as the tile).
    """
    chance = np.ones(len(position))
    for axis in (0, 1):
        factor = _acceptance(position[:, axis], offset[:, axis], tile[:, axis], window[:, axis])
        if factor is None:
            return None
        chance *= factor
    return np.random.default_rng(seed).random(len(chance)) < chance


def _acceptance(
    position: np.ndarray, offset: np.ndarray, tile: np.ndarray, window: np.ndarray
) -> np.ndarray | None:
    """One axis of `keep_uniform`: probabilities [n], or None."""
    pixel = np.clip(position.astype(np.int64), 0, tile - 1)
    first = np.maximum(0, pixel - window + 1)
    last = np.minimum(tile - window, pixel)
    # Cells that the photo could have had: 0 at the window's near edge, counted in shares of it.
    cells = int(window.max())
    low = (pixel - last) * cells // window
    high = -(-(pixel - first + 1) * cells // window)
    grid = np.arange(cells)
    possible = (grid >= low[:, None]) & (grid < high[:, None])
    density = (possible / (high - low)[:, None]).mean(axis=0) * cells
    if density.min() < LEAST_DENSITY:
        return None
    own = (pixel - offset) * cells // window
    return density.min() / density[own]


def uniform_p(xy: np.ndarray) -> float:
    """The smaller p-value, over both axes, of a Kolmogorov-Smirnov test that xy is uniform.

    Args:
        xy: [n, 2] in [-1, 1].
    """
    return min(float(stats.kstest((xy[:, axis] + 1) / 2, 'uniform').pvalue) for axis in (0, 1))


def require_uniform(xy: np.ndarray) -> float:
    """`uniform_p`, refused below `LEAST_P`: positions that favour a place would flatter a model."""
    p = uniform_p(xy)
    if p < LEAST_P:
        raise InputError(
            'test windows: expected photos to lie anywhere in their windows, found positions that '
            f'a Kolmogorov-Smirnov test rejects (p = {p:.1g}); are the photos on a grid?'
        )
    return p
