"""GAIR: tiles, street view photos and places in one embedding, in JAX."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gair_jax.serve.embedder import Embedder

__version__ = '0.1.0'


def load(path: str | os.PathLike[str], *, revision: str = '', compute: str = '') -> 'Embedder':
    """A checkpoint, ready to embed photos, tiles and places (`gair_jax.serve.embedder`).

    Args:
      path: a workdir, a checkpoint step, what `gair convert` wrote, weights of a known layout as
        .safetensors or .pth, or `hf://owner/name/file` on the Hugging Face hub.
      revision: of the hub's repository, a commit or tag; asked for so that results can be repeated.
      compute: type that the transformers compute in, 'float32' or 'bfloat16'; '' is that of
        training. What comes out is float32 either way.

    Raises:
      InputError: no weights of this project or of a known layout lie there; says what was found.
    """
    from gair_jax.serve import weights
    from gair_jax.serve.embedder import Embedder

    return Embedder(weights.read(path, revision=revision, compute=compute))
