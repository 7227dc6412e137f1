"""Encoders of places by name: what a place is encoded as on the host, and the network behind it.

Encodings are float64 NumPy (see `geo.place_encodings`) and do not change in training. Radii are
in the unit of each encoding: degrees of grid and theory; of spheres the angle that is scaled is in
radians, so that 1 is the place's own angle.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError, PlaceSizes, setting
from gair_jax.geo import anchor_encodings, place_encodings
from gair_jax.geo.place_encodings import KERNELS, NAMES
from gair_jax.geo.projection import equal_earth
from gair_jax.models.location import Branch, LocationSpec
from gair_jax.models.place_networks import (
    MOSAIKS,
    FeedForward,
    MosaiksRegressor,
    Presence,
    Residual,
    Siren,
    Tile,
)

SIGMAS = (1.0, 16.0, 256.0)
RFF_FREQUENCIES = 512


@dataclasses.dataclass(kw_only=True)
class EncoderSizes(PlaceSizes):
    """Sizes that all encoders share, GeoCLIP's too; 0 is an encoder's own."""

    width: int = setting(256, 'run', 'of the embedding')


class PlaceEncoder(NamedTuple):
    """An encoding, float [n, 2] degrees to float32 [n, f], and the network that reads it."""

    encode: Callable[[np.ndarray], np.ndarray]
    network: nn.Module


class Scales(nn.Module):
    """GeoCLIP's networks, one for each scale of Fourier features, whose answers are added.

    GeoCLIP has no dropout; where there is some, it is that of the sum.
    """

    spec: LocationSpec
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool = False) -> Float[Array, 'n d']:
        """Embeddings of the features of all scales, side by side."""
        scales = len(self.spec.sigma)
        parts = jnp.moveaxis(x.reshape(len(x), scales, -1), 1, 0)
        branches = nn.vmap(Branch, variable_axes={'params': 0}, split_rngs={'params': True})
        summed = jnp.sum(branches(self.spec, name='branches')(parts), axis=0)
        return nn.Dropout(self.dropout, deterministic=not train)(summed)


class Answer(nn.Module):
    """A linear map of a place's embedding, beside features of an image if there are, to an answer.

    A `task` of `MOSAIKS` has TorchSpatial's network in its place.
    """

    network: nn.Module
    out: int
    images: int = 0
    task: str = ''

    @nn.compact
    def __call__(self, x: Float[Array, 'n f']) -> Float[Array, 'n k']:
        """Values, or logits, of rows: features of the image, then the encoded place."""
        image, place = x[:, : self.images], self.network(x[:, self.images :])
        if self.task:
            # Its dropout is left out: nothing else that is fitted here has any.
            network = MosaiksRegressor(MOSAIKS[self.task], name='mosaiks')
            return network(image, place)['answer'][:, None]
        return nn.Dense(self.out, name='answer')(jnp.concatenate([image, place], axis=1))


class Nowhere(nn.Module):
    """The same for every place: what is left beside an image."""

    def __call__(self, x: Float[Array, 'n 0']) -> Float[Array, 'n 1']:
        """Zeros."""
        return jnp.zeros((len(x), 1))


class PlacePrior(nn.Module):
    """How likely classes, and users, are at encoded places."""

    network: nn.Module
    classes: int
    users: int = 0

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool = False) -> dict[str, Array]:
        """`Presence` of the places, and their `embedding`, which its weights are held against."""
        embedding = self.network(x, train)
        return {
            'embedding': embedding,
            **Presence(self.classes, self.users, name='head')(embedding),
        }


def build(
    name: str, sizes: EncoderSizes, places: np.ndarray, seed: int = 0, dropout: float = 0.0
) -> PlaceEncoder:
    """An encoder.

    Args:
      name: of `NAMES`.
      sizes: of it.
      places: training places, degrees [n, 2]: rbf draws its anchors from them.
      seed: of anchors and random features.
      dropout: share of units that the network drops in training, 0 to below 1.

    Raises:
      InputError: a name or size that cannot be.
    """
    if name not in NAMES:
        raise InputError(f'encoders: expected one of {", ".join(NAMES)}, found {name!r}.')
    encode = _encoding(name, sizes, places, np.random.default_rng(seed))
    behind = network(name, sizes, sizes.width, dropout)
    return PlaceEncoder(lambda x: encode(x).astype(np.float32), behind)


def _encoding(
    name: str, sizes: EncoderSizes, places: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    if name == 'geoclip':
        return _fourier_of_projection(sizes.frequencies or 256, rng)
    if name == 'rff':
        count = sizes.frequencies or RFF_FREQUENCIES
        directions = rng.normal(0, sizes.kernel or KERNELS[name], (2, count))
        shift = rng.uniform(0, 2 * np.pi, count)
        return functools.partial(
            anchor_encodings.rff, directions=directions, shift=shift, extent=sizes.extent
        )
    if name == 'rbf':
        drawn = rng.choice(len(places), min(sizes.anchors, len(places)), replace=False)
        width = sizes.kernel or KERNELS[name]
        return functools.partial(anchor_encodings.rbf, anchors=places[drawn], width=width)
    return place_encodings.fixed(name, sizes)


def _fourier_of_projection(
    count: int, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    frequencies = np.array(SIGMAS)[:, None, None] * rng.normal(size=(len(SIGMAS), count, 2))

    def encode(places: np.ndarray) -> np.ndarray:
        projected = equal_earth(places.astype(np.float64))
        phase = 2 * np.pi * np.einsum('nk,sfk->nsf', projected, frequencies)
        waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
        return waves.reshape(len(places), -1)

    return encode


class _Rows(nn.Module):
    """`Tile` of cells that come as numbers."""

    cells: int
    out: int
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, 'n 1'], train: bool = False) -> Float[Array, 'n d']:
        rows = Tile(self.cells, self.out, name='tile')(x[:, 0].astype(jnp.int32))
        return nn.Dropout(self.dropout, deterministic=not train)(jax.nn.relu(rows))


def network(name: str, sizes: PlaceSizes, width: int, dropout: float = 0.0) -> nn.Module:
    """The network behind the encoding of a name, to embeddings of `width`."""
    if name == 'wrap':
        return Residual(width, dropout=dropout)
    if name == 'satclip':
        return Siren(width, tuple(sizes.hidden), dropout=dropout)
    if name == 'tile':
        rows, columns = anchor_encodings.cells(sizes.extent, sizes.cell)
        return _Rows(rows * columns, width, dropout)
    if name == 'geoclip':
        count = sizes.frequencies or 256
        spec = LocationSpec(
            sigma=SIGMAS, frequencies=count, hidden=tuple(sizes.hidden), embed_dim=width
        )
        return Scales(spec, dropout)
    return FeedForward(width, tuple(sizes.hidden), sizes.activation, dropout=dropout)
