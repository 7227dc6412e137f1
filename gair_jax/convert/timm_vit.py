"""ViT in timm's layout (ImageNet, MAE's encoder, MoCo v3's trunk), and our `sv` sub-tree."""

from gair_jax.convert import layers
from gair_jax.convert.table import Rule, Tree, norm

UNUSED = ('head.*', 'decoder_*', 'mask_token', 'pre_logits.*')
# What stands beside MoCo v3's trunk in its file.
BESIDE = ('momentum_encoder.*', 'predictor.*', 'module.momentum_encoder.*', 'module.predictor.*')


def rules(
    tree: Tree, source: str = '', target: str = 'sv', *, norm_name: str = 'norm', channels: int = 3
) -> list[Rule]:
    """The table, for what our sub-tree `tree` has, of the encoder whose keys start with `source`.

    `norm_name` is 'fc_norm' where the norm follows the pooling.
    """
    layer = tree['transformer']['layers']
    return [
        *layers.patch_convolution(f'{target}/patch', f'{source}patch_embed.proj', channels),
        layers.batched(f'{target}/class_token', f'{source}cls_token', 2),
        layers.batched(f'{target}/position', f'{source}pos_embed'),
        *layers.timm(f'{target}/transformer/layers', f'{source}blocks.', 'bias' in layer['query']),
        *norm(f'{target}/norm', f'{source}{norm_name}'),
    ]


def unused(prefix: str = '') -> tuple[str, ...]:
    """Patterns of keys that have no place in our tree."""
    return (*(prefix + pattern for pattern in UNUSED), *BESIDE)
