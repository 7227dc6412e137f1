"""What a geo-bias score depends on: a score without its parameters says nothing.

Distances are km on the sphere of 6371 km that the sources use.
"""

import dataclasses
import math

from gair_jax.config import InputError

EARTH_RADIUS_KM = 6371.0
MARKS = {
    'unmarked': 'only places',
    'zero_one': 'marks 1 right and 0 wrong, as the background',
    'plus_minus': 'marks +1 right and -1 wrong',
}
FORMS = ('density', 'tail')
# Around a single sample lie 20 points of background; each needs that many others and one to spare.
MOST_WEIGHTS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class SsiParameters:
    """Of the spatial self-information.

    The published tables are of `density` and `zero_one` with 100 nearest samples within 0.05
    radians (318.55 km). The default marks tell a wrong answer from a place without sample, which
    0 and 1 do not.

    radius_km: of a neighbourhood, > 0 and below a quarter of the Earth's circumference.
    neighbourhood: at most this many nearest samples, >= 1; 0: all within the radius.
    weights: a point's nearest others that count, 1..16. The mean and the variance that Moran's I is
      held against are those of 4 whatever this is, as in the source.
    marks: `unmarked`, `zero_one` or `plus_minus`.
    form: `density` (minus the log of the normal density at Moran's I) or `tail` (of the probability
      of both tails beyond it).
    """

    radius_km: float = 100.0
    neighbourhood: int = 100
    weights: int = 4
    marks: str = 'plus_minus'
    form: str = 'density'

    def __post_init__(self) -> None:
        """InputError where a value is out of its range."""
        _check_radius(self.radius_km)
        _check_at_least('neighbourhood', self.neighbourhood, 0)
        _check_at_least('weights', self.weights, 1)
        if self.weights > MOST_WEIGHTS:
            raise InputError(f'weights: expected at most {MOST_WEIGHTS}, found {self.weights}.')
        _check_one_of('marks', self.marks, tuple(MARKS))
        _check_one_of('form', self.form, FORMS)

    @property
    def radius(self) -> float:
        """Radians."""
        return self.radius_km / EARTH_RADIUS_KM

    @property
    def geometry(self) -> tuple[float, int, int]:
        """Readings that agree in these share their neighbourhoods and weights."""
        return self.radius_km, self.neighbourhood, self.weights

    def describe(self) -> str:
        """The score's name and its parameters in one line."""
        samples = f'the {self.neighbourhood} nearest' if self.neighbourhood else 'all'
        return (
            f'SSI, {self.form} form: {MARKS[self.marks]}; {samples} samples within '
            f'{self.radius_km:g} km, {self.weights} nearest neighbours'
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SriParameters:
    """Of the spatial relative information.

    The published tables have 0.05, 0.025 and 0.005 radians (318.55, 159.275 and 31.855 km).

    radius_km: of a neighbourhood, > 0 and below a quarter of the Earth's circumference.
    scale_km: side of a cell, > 0 and at most the radius. A cell is as many degrees of longitude
      wide as it is degrees of latitude high: it narrows towards the poles.
    lag_km: width of a ring of distances, > 0 and at most the radius.
    sectors: of directions, >= 1.
    threshold: parts of fewer samples are left out, >= 1.
    bins: of the histograms, >= 2; 2 for hits.
    published: repeat what the published tables do. Every histogram spans its own values, so that
      an all-right and an all-wrong part score the same; south of the equator places are mirrored
      in longitude before directions are taken; sectors start at minus the centre's longitude, not
      at north; the grid of cells ends at 180 degrees.
    """

    radius_km: float
    scale_km: float
    lag_km: float
    sectors: int = 8
    threshold: int = 20
    bins: int = 2
    published: bool = False

    def __post_init__(self) -> None:
        """InputError where a value is out of its range."""
        _check_radius(self.radius_km)
        for name in ('scale_km', 'lag_km'):
            if not 0 < getattr(self, name) <= self.radius_km:
                raise InputError(
                    f'{name}: expected more than 0 and at most the radius, {self.radius_km:g}, '
                    f'found {getattr(self, name)}.'
                )
        for name, least in (('sectors', 1), ('threshold', 1), ('bins', 2)):
            _check_at_least(name, getattr(self, name), least)

    @property
    def radius(self) -> float:
        """Radians."""
        return self.radius_km / EARTH_RADIUS_KM

    @property
    def scale(self) -> float:
        """Radians."""
        return self.scale_km / EARTH_RADIUS_KM

    @property
    def lag(self) -> float:
        """Radians."""
        return self.lag_km / EARTH_RADIUS_KM

    @property
    def half_cells(self) -> int:
        """Cells from the centre to a side of their square."""
        return _steps(self.radius_km, self.scale_km)

    @property
    def lags(self) -> int:
        """Rings in a neighbourhood."""
        return _steps(self.radius_km, self.lag_km)

    def describe(self) -> str:
        """The score's name and its parameters in one line."""
        return (
            f'SRI, {"as published" if self.published else "common bins"}: all samples within '
            f'{self.radius_km:g} km; cells of {self.scale_km:g} km, lags of {self.lag_km:g} km, '
            f'{self.sectors} sectors; parts of at least {self.threshold} samples, {self.bins} bins'
        )


def _steps(whole: float, step: float) -> int:
    """How many steps cover the whole; rounding of their quotient adds none."""
    return math.ceil(whole / step * (1 - 1e-12))


def _check_radius(radius_km: float) -> None:
    most = EARTH_RADIUS_KM * math.pi / 2
    if not 0 < radius_km < most:
        raise InputError(
            f'radius_km: expected more than 0 and less than {most:.0f}, found {radius_km}.'
        )


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f'{name}: expected at least {least}, found {value}.')


def _check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f'{name}: expected one of {", ".join(known)}, found {value!r}.')
