"""Networks from encoded places to embeddings, and what is read off them.

Sources: the feed-forward network and MOSAIKS regressor of TorchSpatial (Wu et al. 2024), the
residual network of wrap (Mac Aodha et al. 2019), SIREN (Sitzmann et al. 2020) as SatCLIP has it
(Klemmer et al. 2025). A module is called with `train=True` and a stream 'dropout' where units are
to be dropped.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

XAVIER = nn.initializers.xavier_uniform()
NORM_EPS = 1e-5
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    'leaky_relu': functools.partial(jax.nn.leaky_relu, negative_slope=0.2),
    'relu': jax.nn.relu,
    'sigmoid': jax.nn.sigmoid,
    'tanh': jnp.tanh,
    'gelu': functools.partial(jax.nn.gelu, approximate=False),
}


class FeedForward(nn.Module):
    """Layers of a linear map, an activation, dropout, a skip where widths agree, and a layer norm.

    The last layer, of width `out`, has the activation and dropout but neither skip nor norm.
    """

    out: int
    hidden: tuple[int, ...] = (512,)
    activation: str = 'leaky_relu'
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool = False) -> Float[Array, 'n d']:
        """Embeddings of encoded places."""
        act = ACTIVATIONS[self.activation]
        drop = nn.Dropout(self.dropout, deterministic=not train)
        for i, width in enumerate(self.hidden):
            y = drop(act(nn.Dense(width, kernel_init=XAVIER, name=f'hidden_{i}')(x)))
            y = y + x if x.shape[-1] == width else y
            x = nn.LayerNorm(NORM_EPS, name=f'norm_{i}')(y)
        return drop(act(nn.Dense(self.out, kernel_init=XAVIER, name='out')(x)))


class Residual(nn.Module):
    """A ReLU layer, then `blocks` of x + relu(W2 dropout(relu(W1 x)))."""

    out: int
    blocks: int = 4
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool = False) -> Float[Array, 'n d']:
        """Embeddings of encoded places."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        x = jax.nn.relu(nn.Dense(self.out, name='first')(x))
        for i in range(self.blocks):
            y = drop(jax.nn.relu(nn.Dense(self.out, name=f'block_{i}_in')(x)))
            x = x + jax.nn.relu(nn.Dense(self.out, name=f'block_{i}_out')(y))
        return x


def _within(bound: float) -> Callable[..., Array]:
    def draw(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


class Siren(nn.Module):
    """Layers sin(w0 (W x + b)), w0 = `first` in the first and 1 after; the last is linear."""

    out: int
    hidden: tuple[int, ...] = (512, 512)
    first: float = 30.0
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool = False) -> Float[Array, 'n d']:
        """Embeddings of encoded places."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        for i, width in enumerate((*self.hidden, self.out)):
            last = i == len(self.hidden)
            bound = 1 / x.shape[-1] if i == 0 else (6 / x.shape[-1]) ** 0.5
            init = _within(bound)
            x = nn.Dense(
                width, kernel_init=init, bias_init=init, name='out' if last else f'hidden_{i}'
            )(x)
            if not last:
                x = jnp.sin((self.first if i == 0 else 1.0) * drop(x))
        return x


class Tile(nn.Module):
    """A learnt row for each cell of a grid, normal with deviation 1 / width."""

    cells: int
    out: int

    @nn.compact
    def __call__(self, cell: Array) -> Float[Array, 'n d']:
        """Rows of cells int [n]."""
        init = nn.initializers.normal(1 / self.out)
        return nn.Embed(self.cells, self.out, embedding_init=init, name='cells')(cell)


class Presence(nn.Module):
    """How likely each class, and each user, is met at an embedded place: a sigmoid for each."""

    classes: int
    users: int = 0

    @nn.compact
    def __call__(self, embedding: Float[Array, 'n d']) -> dict[str, Array]:
        """Probabilities `class` [n, C] and, with users, `user` [n, U]; they need not add up."""
        found = {'class': self._of('class', self.classes, embedding)}
        return found | ({'user': self._of('user', self.users, embedding)} if self.users else {})

    def _of(self, name: str, count: int, embedding: Array) -> Array:
        dense = nn.Dense(count, use_bias=False, kernel_init=XAVIER, name=f'{name}_weights')
        return jax.nn.sigmoid(dense(embedding))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaiksSpec:
    """Widths of the two networks of a MOSAIKS task, and whether each is leaky.

    Attributes:
      image: hidden widths from image features to `width` values.
      head: hidden widths from both, joined, to the answer.
      image_leaky, head_leaky: LeakyReLU(0.01) in the place of ReLU.
      width: values of either side.
    """

    image: tuple[int, ...]
    head: tuple[int, ...]
    image_leaky: bool = True
    head_leaky: bool = True
    width: int = 64


MOSAIKS = {
    'population': MosaiksSpec(image=(1024,), head=(16,), image_leaky=False),
    'elevation': MosaiksSpec(image=(862, 846), head=(893, 881, 510)),
    'forest_cover': MosaiksSpec(image=(533,), head=(847, 787), head_leaky=False),
    'nightlights': MosaiksSpec(image=(346, 682, 73), head=(746, 416, 257)),
}


class _Layers(nn.Module):
    """Hidden layers with dropout, then a linear map."""

    out: int
    hidden: tuple[int, ...]
    leaky: bool
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, 'n f'], train: bool) -> Float[Array, 'n d']:
        act = jax.nn.leaky_relu if self.leaky else jax.nn.relu
        for i, width in enumerate(self.hidden):
            x = act(nn.Dense(width, name=f'hidden_{i}')(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.out, name='out')(x)


class MosaiksRegressor(nn.Module):
    """A number of a place from its image features and `Presence` of the place, image first.

    That a place enters by sigmoids of `width` classes, not by its embedding, is TorchSpatial's.
    """

    spec: MosaiksSpec
    dropout: float = 0.1

    @nn.compact
    def __call__(
        self,
        features: Float[Array, 'n f'],
        embedding: Float[Array, 'n d'],
        train: bool = False,
    ) -> dict[str, Array]:
        """What is joined, `image` and `place` [n, width], and `answer` [n]."""
        spec = self.spec
        image = _Layers(spec.width, spec.image, spec.image_leaky, self.dropout, name='image')
        head = _Layers(1, spec.head, spec.head_leaky, self.dropout, name='head')
        sides = {
            'image': image(features, train),
            'place': Presence(spec.width, name='place')(embedding)['class'],
        }
        joined = jnp.concatenate([sides['image'], sides['place']], axis=-1)
        return {**sides, 'answer': head(joined, train)[:, 0]}
