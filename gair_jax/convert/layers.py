"""Names of transformer layers in the reference implementations."""

import numpy as np

from gair_jax.convert.table import Rule, linear, norm, qkv


def croma(
    target: str, source: str, *, fused: str = 'to_qkv', out: str = 'to_out', last: int = 3
) -> list[Rule]:
    """CROMA's layers (antofuller/CROMA), and with other names the release's attention query.

    `source` is the prefix of the layer list, dot included; no bias on queries, keys and values.
    """
    layer = f'{source}{{i}}'
    return [
        *norm(f'{target}/attention_norm', f'{layer}.0.input_norm'),
        *qkv(target, f'{layer}.0.{fused}', bias=False),
        *linear(f'{target}/attention_out', f'{layer}.0.{out}'),
        *norm(f'{target}/mlp_norm', f'{layer}.1.input_norm'),
        *linear(f'{target}/mlp_in', f'{layer}.1.net.0'),
        *linear(f'{target}/mlp_out', f'{layer}.1.net.{last}'),
    ]


def hugging_face(target: str, source: str) -> list[Rule]:
    """Layers of transformers' ViTModel, by the names of its releases 4.x."""
    layer = f'{source}{{i}}'
    products = (
        ('query', 'attention.attention.query'),
        ('key', 'attention.attention.key'),
        ('value', 'attention.attention.value'),
        ('attention_out', 'attention.output.dense'),
        ('mlp_in', 'intermediate.dense'),
        ('mlp_out', 'output.dense'),
    )
    rules = [*norm(f'{target}/attention_norm', f'{layer}.layernorm_before')]
    rules += norm(f'{target}/mlp_norm', f'{layer}.layernorm_after')
    for ours, theirs in products:
        rules += linear(f'{target}/{ours}', f'{layer}.{theirs}')
    return rules


def timm(target: str, source: str) -> list[Rule]:
    """Layers of timm's ViT, with bias on queries, keys and values."""
    layer = f'{source}{{i}}'
    return [
        *norm(f'{target}/attention_norm', f'{layer}.norm1'),
        *qkv(target, f'{layer}.attn.qkv', bias=True),
        *linear(f'{target}/attention_out', f'{layer}.attn.proj'),
        *norm(f'{target}/mlp_norm', f'{layer}.norm2'),
        *linear(f'{target}/mlp_in', f'{layer}.mlp.fc1'),
        *linear(f'{target}/mlp_out', f'{layer}.mlp.fc2'),
    ]


def patch_convolution(target: str, source: str) -> list[Rule]:
    """A patch embedding stored as a convolution (out, channel, row, column)."""
    return [
        Rule(f'{target}/kernel', f'{source}.weight', lambda w: w.reshape(len(w), -1).T),
        Rule(f'{target}/bias', f'{source}.bias'),
    ]


def first_row(array: np.ndarray) -> np.ndarray:
    """A parameter stored with a batch axis of one."""
    return array[0]
