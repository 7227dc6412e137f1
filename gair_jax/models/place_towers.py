"""The encoders of `place_encoders` as the location side of a larger model.

Where the host encodes a place (`geo.place_encodings`), only the network is left here. Of rff and
rbf the directions and anchors are parameters that are drawn once and never trained, as GeoCLIP's
frequencies are, so that a checkpoint holds them; their encodings are float32.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import Config, PlaceSizes
from gair_jax.geo.place_encodings import KERNELS, Encoding
from gair_jax.geo.place_encodings import encoding as encoding_of
from gair_jax.models.location import LocationEncoder
from gair_jax.models.location import spec as location_spec
from gair_jax.models.place_encoders import RFF_FREQUENCIES, network


class Encoded(nn.Module):
    """The network alone, of places that come encoded."""

    network: nn.Module

    @nn.compact
    def __call__(self, places: Float[Array, 'n f']) -> dict[str, Array]:
        """`embedding` [N, D]."""
        return {'embedding': self.network(places)}


class Waves(nn.Module):
    """Random Fourier features of one scale: sqrt(2 / F) cos(x W + b), x in [-1, 1] over `extent`.

    W is normal with deviation `kernel`, b uniform on the circle.
    """

    network: nn.Module
    count: int
    kernel: float
    extent: tuple[float, ...]

    @nn.compact
    def __call__(self, places: Float[Array, 'n 2']) -> dict[str, Array]:
        """`embedding` [N, D] of degrees, longitude first."""
        directions = self.param(
            'directions', lambda key: self.kernel * jax.random.normal(key, (2, self.count))
        )
        shift = self.param(
            'shift', lambda key: jax.random.uniform(key, (self.count,), maxval=2 * np.pi)
        )
        west, east, south, north = self.extent
        low, high = np.array([[west, south]]), np.array([[east, north]])
        scaled = jnp.asarray(2 / (high - low), jnp.float32) * (places - low.astype(np.float32)) - 1
        # True float32 whatever the matmul default: rounded operands would be other places.
        phase = jnp.matmul(
            scaled, jax.lax.stop_gradient(directions), precision=jax.lax.Precision.HIGHEST
        )
        waves = jnp.cos(phase + jax.lax.stop_gradient(shift)[None])
        return {'embedding': self.network(np.sqrt(2 / self.count).astype(np.float32) * waves)}


class Nearness(nn.Module):
    """exp(-d^2 / (2 width^2)) to anchors drawn on the sphere, d in degrees of the plane."""

    network: nn.Module
    count: int
    width: float

    @nn.compact
    def __call__(self, places: Float[Array, 'n 2']) -> dict[str, Array]:
        """`embedding` [N, D] of degrees, longitude first."""
        anchors = jax.lax.stop_gradient(self.param('anchors', self._draw))
        squares = jnp.sum((places[:, None] - anchors[None]) ** 2, axis=-1)
        return {'embedding': self.network(jnp.exp(-squares / (2 * self.width**2)))}

    def _draw(self, key: Array) -> Float[Array, 'a 2']:
        """Uniform on the sphere: the sine of the latitude is uniform."""
        east, up = jax.random.uniform(key, (2, self.count), minval=-1)
        return jnp.stack([180 * east, jnp.rad2deg(jnp.arcsin(up))], axis=-1)


Tower = Encoded | Waves | Nearness


def tower(name: str, sizes: PlaceSizes, embed_dim: int) -> Tower:
    """The location side of a name and checked sizes (`place_encodings.encoding`), but geoclip."""
    inner = network(name, sizes, embed_dim)
    if name == 'rff':
        count = sizes.frequencies or RFF_FREQUENCIES
        return Waves(inner, count, sizes.kernel or KERNELS[name], tuple(sizes.extent))
    if name == 'rbf':
        return Nearness(inner, sizes.anchors, sizes.kernel or KERNELS[name])
    return Encoded(inner)


@functools.lru_cache(maxsize=32)  # a forecast asks for the same by the dozen
def kernels(module: Tower, width: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the matrices that a place of `width` numbers is multiplied by."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, width)))['params']
    found = jax.tree_util.tree_leaves_with_path(shapes)
    return tuple(x.shape for path, x in found if path[-1].key in ('kernel', 'directions'))


def location_encoder(
    config: Config,
) -> tuple[LocationEncoder | Tower | None, Encoding | None]:
    """The location encoder of a config, None where disabled, and what the host does before it."""
    location, embed_dim = config.model.location, config.model.embed_dim
    if not location.enabled:
        return None, None
    encoding = encoding_of(location.encoder, location.sizes, 'model.location')
    if location.encoder == 'geoclip':
        return LocationEncoder(location_spec(location, embed_dim)), encoding
    return tower(location.encoder, location.sizes, embed_dim), encoding
