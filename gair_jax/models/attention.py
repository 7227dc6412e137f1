"""Softmax attention in two forms: plain, and cuDNN's, which never writes the weights to memory.

cuDNN's is for NVIDIA GPUs and bfloat16. What it cannot do, or does wrongly, is named in one place,
`choose`; where nothing stands in its way it is what 'auto' takes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gair_jax.config import InputError
from gair_jax.models import products

ATTENTIONS = ('auto', 'plain', 'cudnn')
WIDEST_HEAD = 128  # of cuDNN on every GPU that has bfloat16


class Case(NamedTuple):
    """What decides between the forms.

    dtype: compute type. head: width of a head. tokens: N. biased: something is added to the logits.
    dropped: dropout acts on the weights.
    """

    dtype: str
    head: int
    tokens: int
    biased: bool
    dropped: bool


class Choice(NamedTuple):
    """'plain' or 'cudnn', and why not cuDNN's (a clause whose subject is cudnn; '': no reason)."""

    kind: str
    reason: str

    def sentence(self, where: str) -> str:
        """For whoever reads how a run began."""
        if self.kind == 'cudnn':
            return f'Attention of {where} is that of cuDNN.'
        because = f': cudnn {self.reason} (model.attention)' if self.reason else ''
        return f'Attention of {where} is plain{because}.'


def choose(setting: str, case: Case) -> Choice:
    """The form of a step that is traced now.

    Args:
      setting: one of `ATTENTIONS`.
      case: what is computed.

    Raises:
      InputError: 'cudnn' is asked for and cannot be had.
    """
    if setting == 'plain':
        return Choice('plain', '')
    reason = obstacle(case.dtype, case.head, case.dropped) or _obstacle_here(case)
    if setting == 'cudnn' and reason:
        raise InputError(f'model.attention: cudnn {reason}.')
    return Choice('plain' if reason else 'cudnn', reason)


def obstacle(dtype: str, head: int, dropped: bool) -> str:
    """Why no step with these settings can take cuDNN's form; '' where one can."""
    if dtype != 'bfloat16':
        return f'expects model.dtype bfloat16, found {dtype}'
    if dropped:
        return 'expects attention_dropout 0, found more'
    if head % 8 or head > WIDEST_HEAD:
        return f'expects heads of a width divisible by 8, at most {WIDEST_HEAD}, found {head}'
    return ''


def _obstacle_here(case: Case) -> str:
    even = case.tokens + case.tokens % 2
    # Its gradient is then nan for rows whose log-sum-exp is very small (pytorch#196678).
    if even % 128 == 64 and (case.biased or even > case.tokens):
        return f'gives no safe gradient for {case.tokens} tokens with a bias or a mask'
    device = products.device()
    if device.platform != 'gpu' or not device.device_kind.startswith('NVIDIA'):
        return f'expects an NVIDIA GPU, found {device.device_kind}'
    return ''


def attend(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b n h d'],
    value: Float[Array, 'b n h d'],
    bias: Float[Array, '#b #h n n'] | None,
    dropout: nn.Dropout,
    deterministic: bool,
    setting: str,
) -> Float[Array, 'b n h d']:
    """Softmax attention of N tokens, in the form that `setting`, one of `ATTENTIONS`, asks for."""
    _, n, _, width = query.shape
    dropped = dropout.rate > 0 and not deterministic
    case = Case(query.dtype.name, width, n, bias is not None, dropped)
    if choose(setting, case).kind == 'cudnn':
        return cudnn(query, key, value, bias)
    return plain(query, key, value, bias, dropout, deterministic)


def plain(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b m h d'],
    value: Float[Array, 'b m h d'],
    bias: Float[Array, '#b #h #n #m'] | None,
    dropout: nn.Dropout,
    deterministic: bool,
) -> Float[Array, 'b n h d']:
    """The reference; the softmax is float32, the products keep their type."""
    sums = products.sum_type(query.dtype)
    logits = jnp.einsum('bnhd,bmhd->bhnm', query, key, preferred_element_type=sums)
    logits = logits.astype(jnp.float32) * query.shape[-1] ** -0.5
    if bias is not None:
        logits = logits + bias
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    weights = dropout(weights, deterministic=deterministic)
    # Asked for 'bnhd', einsum would swap the operands, which takes a CPU three times as long.
    out = jnp.einsum('bhnm,bmhd->bhnd', weights, value, preferred_element_type=sums)
    return out.astype(value.dtype).transpose(0, 2, 1, 3)


def cudnn(
    query: Float[Array, 'b n h d'],
    key: Float[Array, 'b n h d'],
    value: Float[Array, 'b n h d'],
    bias: Float[Array, '#b #h n n'] | None,
) -> Float[Array, 'b n h d']:
    """The fused form of cuDNN; the bias, rounded to bfloat16, gets a gradient that nobody reads.

    Its backward pass refuses an odd N, even without a bias: a token is put behind, which the
    lengths of the keys hide.
    """
    b, n, heads, _ = query.shape
    lengths = None
    if bias is not None:
        # Neither a float32 bias, which gave nan gradients, nor one to be broadcast is safe.
        bias = jnp.broadcast_to(bias.astype(query.dtype), (len(bias), heads, n, n))
    if n % 2:
        more = ((0, 0), (0, 1), (0, 0), (0, 0))
        query, key, value = (jnp.pad(x, more) for x in (query, key, value))
        bias = None if bias is None else jnp.pad(bias, ((0, 0), (0, 0), (0, 1), (0, 1)))
        lengths = jnp.full(b, n, jnp.int32)
    out = jax.nn.dot_product_attention(
        query, key, value, bias, key_value_seq_lengths=lengths, implementation='cudnn'
    )
    return out[:, :n]
