"""The memory bank of past places (paper section 3.4): a ring that the newest entries overwrite.

Two contents. `positions`, the default and what the authors' code does: lonlat, encoded anew each
step with gradient. `embeddings`, what the paper's text says: stored as they were, without gradient.
Where the host encodes places, the bank keeps them encoded, and the network runs anew.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gair_jax.config import BankConfig, InputError
from gair_jax.losses.pairs import normalize

CONTENTS = ('positions', 'embeddings')
STARTS = ('empty', 'null_island')


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MemoryBank:
    """A ring of `size` slots; `cursor` is the slot that is written next.

    Attributes:
      lonlat: degrees, where each entry is.
      embeddings: where the content is positions, of width 0, or places as the host encoded them.
      valid: slots that hold an entry.
      cursor: in [0, size).
    """

    lonlat: Float[Array, 'size 2']
    embeddings: Float[Array, 'size d']
    valid: Bool[Array, ' size']
    cursor: Int[Array, '']

    @property
    def content(self) -> Float[Array, 'size c']:
        """What negatives are made of: what is kept beside lonlat, if anything, else lonlat."""
        return self.embeddings if self.embeddings.shape[1] else self.lonlat


def create(bank: BankConfig, embed_dim: int, key: Array, encoded: int = 0) -> MemoryBank:
    """A bank before the first step.

    Args:
      bank: size, content and start. 'empty' slots are no negatives until written. 'null_island'
        reproduces the authors' code: random unit vectors count as entries from the first step on,
        and as lonlat they all lie within a degree of (0, 0).
      embed_dim: width of the embeddings.
      key: read by 'null_island' alone.
      encoded: width of a place that the host encodes; 0 where it does not.

    Raises:
      InputError: an unknown content or start, a negative size, or places that no host encoded.
    """
    _check(bank)
    width = embed_dim if bank.content == 'embeddings' else encoded
    if encoded and bank.start == 'null_island' and bank.content == 'positions':
        raise InputError(
            "bank.start: expected 'empty', as this location encoder reads places that the host "
            "encoded, found 'null_island'."
        )
    lonlat = jnp.zeros((bank.size, 2), jnp.float32)
    embeddings = jnp.zeros((bank.size, width), jnp.float32)
    started = bank.start == 'null_island'
    if started:
        key_lonlat, key_embeddings = jax.random.split(key)
        lonlat = normalize(jax.random.normal(key_lonlat, lonlat.shape))
        embeddings = normalize(jax.random.normal(key_embeddings, embeddings.shape))
    valid = jnp.full(bank.size, started)
    return MemoryBank(lonlat, embeddings, valid, jnp.zeros((), jnp.int32))


def push(
    bank: MemoryBank,
    lonlat: Float[Array, 'b 2'],
    valid: Bool[Array, ' b'],
    kept: Float[Array, 'b d'] | None = None,
) -> MemoryBank:
    """The bank after the valid rows were written in order, from the cursor on and around the end.

    Of more rows than slots the last are kept. `kept`, what goes beside lonlat, is needed when the
    bank holds such.
    """
    size, rows = len(bank.valid), jnp.sum(valid)
    rank = jnp.cumsum(valid) - 1
    last = valid & (rank >= rows - size)
    # Slot `size` does not exist: rows sent there are dropped.
    slot = jnp.where(last, (bank.cursor + rank) % size, size)
    stored = bank.embeddings
    if stored.shape[1]:
        assert kept is not None, 'this bank holds more than lonlat'
        stored = stored.at[slot].set(kept.astype(stored.dtype), mode='drop')
    return MemoryBank(
        lonlat=bank.lonlat.at[slot].set(lonlat, mode='drop'),
        embeddings=stored,
        valid=bank.valid.at[slot].set(True, mode='drop'),
        cursor=((bank.cursor + rows) % size).astype(jnp.int32),
    )


def _check(bank: BankConfig) -> None:
    if bank.size < 0:
        raise InputError(f'bank.size: expected >= 0, found {bank.size}.')
    for field, known in (('content', CONTENTS), ('start', STARTS)):
        if getattr(bank, field) not in known:
            raise InputError(
                f'bank.{field}: expected {" or ".join(known)}, found {getattr(bank, field)!r}.'
            )
