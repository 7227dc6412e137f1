"""Words that name a checkpoint and how it is run, the same for all verbs that embed."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gair_jax.serve.embedder import Embedder


def add(verb: argparse.ArgumentParser) -> None:
    """Adds the checkpoint, its revision and the compute type."""
    verb.add_argument(
        '--checkpoint', required=True, help='workdir, checkpoint, weights or hf:// name'
    )
    verb.add_argument('--revision', default='', help='of a name on the hub: the commit meant')
    verb.add_argument(
        '--compute',
        default='',
        choices=('float32', 'bfloat16'),
        help='type that the encoders compute in: bfloat16 is less exact and, where the device has '
        'instructions for it, faster (default: that of training)',
    )


def load(arguments: argparse.Namespace) -> 'Embedder':
    """The checkpoint; compiled programs are kept for the next call."""
    import gair_jax
    from gair_jax.serve import compiled_cache

    compiled_cache.use()
    return gair_jax.load(
        arguments.checkpoint, revision=arguments.revision, compute=arguments.compute
    )
