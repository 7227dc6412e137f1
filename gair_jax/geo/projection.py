"""The Equal Earth projection (Savric, Patterson and Jenny 2018), as the location encoder takes it.

theta = arcsin(sqrt(3)/2 sin(lat)), and with t = theta
  x = 2 sqrt(3) lon cos(t) / (3 (9 A4 t^8 + 7 A3 t^6 + 3 A2 t^2 + A1))
  y = A4 t^9 + A3 t^7 + A2 t^3 + A1 t
Both are divided by the x of the antimeridian on the equator, so x lies in [-1, 1] and y in
[-0.4867, 0.4867] (paper section 3.3, after GeoCLIP).
"""

from typing import Any

import numpy as np
from jaxtyping import Float

A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
# GeoCLIP rounds the factor to seven digits; weights were trained with it, so it stays as it is.
SCALE = 66.50336 / 180


def equal_earth(lonlat: Float[Any, '*batch 2'], xp: Any = np) -> Float[Any, '*batch 2']:
    """Scaled Equal Earth coordinates of lonlat in degrees.

    `xp` is the array library, NumPy or jax.numpy; the result has the type of the input. In float32
    it is within 3e-7 of float64, and the random Fourier features need all of that.
    """
    lon, lat = xp.deg2rad(lonlat[..., 0]), xp.deg2rad(lonlat[..., 1])
    t = xp.arcsin(np.sqrt(3.0).item() / 2 * xp.sin(lat))
    t2 = t * t
    t6 = t2 * t2 * t2
    slope = A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2)
    x = 2 * np.sqrt(3.0).item() * lon * xp.cos(t) / (3 * slope)
    y = t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2))
    return xp.stack([x, y], axis=-1) * SCALE
