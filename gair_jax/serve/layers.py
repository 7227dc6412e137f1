"""What a map shows: how the localized embeddings of its cells become the bands that are stored.

  embeddings  all components, as float32, float16, or int8 times a scale of each band
  similarity  the cosine with one embedding: of a photo, of a place, or given
  pca3        three principal components as red, green and blue, 1..255

The scales and the components come from a survey: the embeddings of a seeded sample of windows.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gair_jax.config import InputError

KINDS = ('embeddings', 'similarity', 'pca3')
# Stored types of each kind, the default first.
DTYPES = {
    'embeddings': ('float16', 'int8', 'float32'),
    'similarity': ('float32', 'float16'),
    'pca3': ('uint8',),
}
NODATA = {'float16': np.nan, 'float32': np.nan, 'int8': -128.0, 'uint8': 0.0}
# The survey does not see the largest values of the whole scene: room above those it saw.
HEADROOM = 1.1
STRETCH = (2, 98)  # percentiles of each component that are drawn as 1 and 255


class Stored(NamedTuple):
    """Cells as they are stored, [n, bands], and how many values were out of range and cut."""

    cells: Shaped[np.ndarray, 'n bands']
    clipped: int


class Layer(NamedTuple):
    """How a map is stored.

    kind: of `KINDS`; dtype, nodata: of every band; names: of the bands; scales: what stored values
    are multiplied by, () for 1; store: makes stored cells of embeddings [n, d]; settings: what
    goes into the provenance, plain JSON.
    """

    kind: str
    dtype: str
    names: tuple[str, ...]
    scales: tuple[float, ...]
    store: Callable[[Float[np.ndarray, 'n d']], Stored]
    settings: dict[str, Any]

    @property
    def nodata(self) -> float:
        """The stored value of a cell without data."""
        return NODATA[self.dtype]


class Basis(NamedTuple):
    """Three principal components, and what of each is drawn as 1 and as 255."""

    mean: Float[np.ndarray, ' d']
    components: Float[np.ndarray, '3 d']
    low: Float[np.ndarray, '3']
    high: Float[np.ndarray, '3']

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: values.tolist() for name, values in self._asdict().items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'Basis':
        """What `to_dict` gave."""
        return cls(**{name: np.array(values[name]) for name in cls._fields})


def check(kind: str, dtype: str) -> str:
    """The stored type of a map, that of the kind for ''; InputError where they do not agree."""
    if kind not in KINDS:
        raise InputError(f'what: expected {", ".join(KINDS)}, found {kind!r}.')
    if dtype and dtype not in DTYPES[kind]:
        raise InputError(
            f'dtype: expected {" or ".join(DTYPES[kind])} for {kind}, found {dtype!r}.'
        )
    return dtype or DTYPES[kind][0]


def floats(width: int, dtype: str) -> Layer:
    """Embeddings as they are."""

    def store(x: np.ndarray) -> Stored:
        return Stored(x.astype(dtype), 0)

    return Layer('embeddings', dtype, _names(width), (), store, {})


def integers(scales: Float[np.ndarray, ' d']) -> Layer:
    """Embeddings as int8 times the scale of each component."""

    def store(x: np.ndarray) -> Stored:
        steps = np.rint(x / scales.astype(np.float32))
        out = np.abs(steps) > 127
        return Stored(np.clip(steps, -127, 127).astype(np.int8), int(out.sum()))

    return Layer('embeddings', 'int8', _names(len(scales)), tuple(scales.tolist()), store, {})


def similarity(vector: Float[np.ndarray, ' d'], to: str, dtype: str) -> Layer:
    """The cosine with `vector`; `to` says what that is."""
    towards = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)

    def store(x: np.ndarray) -> Stored:
        length = np.maximum(np.linalg.norm(x, axis=1), 1e-12)
        return Stored((x @ towards / length).astype(dtype)[:, None], 0)

    return Layer('similarity', dtype, ('cosine',), (), store, {'to': to})


def picture(basis: Basis) -> Layer:
    """Three components, each stretched to 1..255; what lies outside is cut."""

    def store(x: np.ndarray) -> Stored:
        at = (x - basis.mean) @ basis.components.T
        share = (at - basis.low) / (basis.high - basis.low)
        return Stored(np.rint(1 + 254 * np.clip(share, 0, 1)).astype(np.uint8), 0)

    names = ('component 1', 'component 2', 'component 3')
    return Layer('pca3', 'uint8', names, (), store, {'basis': basis.to_dict()})


def scales_of(survey: Float[np.ndarray, 'n d']) -> Float[np.ndarray, ' d']:
    """The step of int8 for each component: the largest value seen, with some room, is 127."""
    return HEADROOM * np.maximum(np.abs(survey).max(axis=0), 1e-6).astype(np.float64) / 127


def basis_of(survey: Float[np.ndarray, 'n d']) -> Basis:
    """Principal components; the largest entry of each is positive, so their sign is no chance.

    Raises:
      InputError: the survey has too few cells, or they are all alike.
    """
    mean = survey.mean(axis=0, dtype=np.float64)
    centred = survey - mean
    if len(survey) < 4:
        raise InputError(f'pca3: expected at least 4 cells with data, found {len(survey)}.')
    components = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T[:3]
    largest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(3), largest])[:, None]
    low, high = np.percentile(centred @ components.T, STRETCH, axis=0)
    return Basis(mean, components, low, np.maximum(high, low + 1e-6))


def _names(width: int) -> tuple[str, ...]:
    return tuple(f'embedding {i}' for i in range(width))
