"""Real spherical harmonics of places, by a recurrence that stays exact at high degrees.

Published tables of polynomials lose all digits near the poles at degree 40. Here the normalised
associated Legendre functions are built up from their diagonal, P(m, m), in float64 (Holmes and
Featherstone 2002), whose error stays near 1e-14.
"""

import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError

# Normalised: the textbook's constants with the phase (-1)^m, which SciPy has and SatCLIP calls
# 'closed-form'. Analytic: SatCLIP's default and TorchSpatial's, without the phase and, by a slip of
# brackets that trained weights rely on, pi times too large where m = 0.
FORMS = ('analytic', 'normalised')


def legendre(x: Float[np.ndarray, ' n'], degrees: int) -> dict[tuple[int, int], np.ndarray]:
    """Associated Legendre functions of l < degrees, 0 <= m <= l, without the phase; x is -1..1.

    They are normalised: times sqrt(2) cos(m phi), or 1 where m = 0, orthonormal on the sphere.
    """
    sine = np.sqrt(np.maximum(1 - x * x, 0))
    found: dict[tuple[int, int], np.ndarray] = {}
    diagonal = np.full_like(x, np.sqrt(1 / (4 * np.pi)))
    for m in range(degrees):
        if m:
            diagonal = diagonal * sine * np.sqrt((2 * m + 1) / (2 * m))
        before, last = np.zeros_like(x), diagonal
        found[m, m] = last
        for l in range(m + 1, degrees):  # noqa: E741 (the field's letter)
            a = np.sqrt((4 * l * l - 1) / (l * l - m * m))
            b = np.sqrt(((l - 1) ** 2 - m * m) / (4 * (l - 1) ** 2 - 1))
            before, last = last, a * (x * last - b * before)
            found[l, m] = last
    return found


def spherical_harmonics(
    places: Float[np.ndarray, 'n 2'], degrees: int, form: str = 'analytic'
) -> Float[np.ndarray, 'n f']:
    """All functions of degree l below `degrees`, float64 [n, degrees^2], at index l^2 + l + m.

    Args:
      places: degrees, longitude first; the angles are lon + 180 and lat + 90, as in SatCLIP
        (Klemmer et al. 2025).
      degrees: number of them, 1 or more.
      form: of `FORMS`.

    Raises:
      InputError: a form or number of degrees that is not known.
    """
    if form not in FORMS or degrees < 1:
        raise InputError(
            f'spherical harmonics: expected {" or ".join(FORMS)} and 1 degree or more, found '
            f'{form!r} and {degrees}.'
        )
    lon, lat = np.deg2rad(places.astype(np.float64) + np.array([180, 90])).T
    out = np.empty((len(places), degrees * degrees))
    for (l, m), values in legendre(np.cos(lat), degrees).items():  # noqa: E741
        middle = l * l + l
        if m == 0:
            out[:, middle] = values * (np.pi if form == 'analytic' else 1)
            continue
        sign = -1 if m % 2 and form == 'normalised' else 1
        out[:, middle + m] = sign * np.sqrt(2) * values * np.cos(m * lon)
        out[:, middle - m] = sign * np.sqrt(2) * values * np.sin(m * lon)
    return out
