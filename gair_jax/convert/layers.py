"""Names of transformer layers in the reference implementations."""

import math

import numpy as np

from gair_jax.convert.table import Rule, linear, norm, qkv, same

# Transformers renamed the layers of its ViTModel in release 5: list of layers, then our names.
HUGGING_FACE = {
    '4': {
        'layers': 'encoder.layer',
        'query': 'attention.attention.query',
        'key': 'attention.attention.key',
        'value': 'attention.attention.value',
        'attention_out': 'attention.output.dense',
        'mlp_in': 'intermediate.dense',
        'mlp_out': 'output.dense',
    },
    '5': {
        'layers': 'layers',
        'query': 'attention.q_proj',
        'key': 'attention.k_proj',
        'value': 'attention.v_proj',
        'attention_out': 'attention.o_proj',
        'mlp_in': 'mlp.fc1',
        'mlp_out': 'mlp.fc2',
    },
}


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


def hugging_face(target: str, source: str, spelling: str) -> list[Rule]:
    """Layers of transformers' ViTModel; `spelling` is its release, '4' or '5'."""
    names = dict(HUGGING_FACE[spelling])
    layer = f'{source}{names.pop("layers")}.{{i}}'
    rules = [*norm(f'{target}/attention_norm', f'{layer}.layernorm_before')]
    rules += norm(f'{target}/mlp_norm', f'{layer}.layernorm_after')
    for ours, theirs in names.items():
        rules += linear(f'{target}/{ours}', f'{layer}.{theirs}')
    return rules


def timm(target: str, source: str, qkv_bias: bool = True) -> list[Rule]:
    """Layers of timm's ViT."""
    layer = f'{source}{{i}}'
    return [
        *norm(f'{target}/attention_norm', f'{layer}.norm1'),
        *qkv(target, f'{layer}.attn.qkv', bias=qkv_bias),
        *linear(f'{target}/attention_out', f'{layer}.attn.proj'),
        *norm(f'{target}/mlp_norm', f'{layer}.norm2'),
        *linear(f'{target}/mlp_in', f'{layer}.mlp.fc1'),
        *linear(f'{target}/mlp_out', f'{layer}.mlp.fc2'),
    ]


def patch_convolution(target: str, source: str, channels: int = 3) -> list[Rule]:
    """A patch embedding stored as a convolution (out, channel, row, column), patches square."""

    def join(kernel: np.ndarray) -> np.ndarray:
        side = math.isqrt(len(kernel) // channels)
        return kernel.T.reshape(-1, channels, side, side)

    kernel = Rule(
        f'{source}.weight', (f'{target}/kernel',), lambda w: (w.reshape(len(w), -1).T,), join
    )
    return [kernel, same(f'{target}/bias', f'{source}.bias')]


def batched(target: str, source: str, axes: int = 1) -> Rule:
    """A parameter stored with leading axes of one."""
    first = (0,) * axes
    new = (np.newaxis,) * axes
    return Rule(source, (target,), lambda a: (a[first],), lambda a: a[new])
