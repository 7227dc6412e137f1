"""Pre-training on street views and tiles that `gair data build streetscapes` has built.

  gair train --config=configs/pretrain/streetscapes.py --workdir=runs/streetscapes
  gair train --config=configs/pretrain/streetscapes.py:release --workdir=runs/release
  gair train --config=configs/pretrain/streetscapes.py:tour --workdir=runs/tour

The first reads chips of the native layout, `release` whole tiles of that layout resized to 96
pixels, whatever their size, and `tour` is a small model for the made-up set of
`python -m tests.standins`: some minutes on 2 cores. The data set is `streetscapes/default` (`tour`:
`streetscapes/tour`); --config.data.variant names another.

Beside the paper: a city is drawn first, then one of its photos, so that no city outweighs others;
photos of the anchor's chip (or whole tile), and those less than 25 m from it, are no negatives.
"""

from gair_jax.config import Config, InputError
from gair_jax.configs.pretrain import gair_base

KINDS = ('native', 'release', 'tour')


def get_config(kind: str = 'native') -> Config:
    """ViT-B on windows of 96 pixels at 10 m; on whole tiles; or a small model on such windows."""
    if kind not in KINDS:
        raise InputError(f'streetscapes.py: expected {", ".join(KINDS)}, found {kind!r}.')
    config = gair_base.get_config()
    config.data.name = 'streetscapes'
    config.data.balance = 'group'
    config.loss.mask_same_tile = True
    # Chips overlap, so photos of one street may be on two. Those of a sequence are 0.5 to 0.8 m
    # apart (median, 2,319 photos of Global Streetscapes), and their given positions are up to 23 m
    # off (99 of 100): nearer ones cannot be told apart, and lie within 3 pixels of 10 m.
    config.loss.mask_radius_m = 25.0
    # In a chip of 128 pixels the photo is at 48..80: each window of 96 at 0..32 holds it.
    if kind == 'release':
        config.input.rs.placement = 'whole'
    if kind == 'tour':
        _shrink(config)
    return config


def _shrink(config: Config) -> None:
    """Encoders 128 wide, photos of 64 pixels, 150 steps."""
    config.data.variant = 'tour'
    config.batch, config.steps = 64, 150
    config.input.sv.size = 64
    model = config.model
    model.embed_dim, model.rolled = 128, True
    for encoder in (model.rs, model.sv):
        encoder.size, encoder.patch = 'Ti', 8
        encoder.dim, encoder.depth, encoder.heads, encoder.mlp_dim = 128, 3, 4, 256
    model.location.hidden, model.location.frequencies = (128,), 64
    model.nili.hidden = (128, 128)
    config.bank.size = 512
    config.optimizer.rate = 1e-3
    config.optimizer.warmup = 0.1
    config.checkpoint.every = config.eval.every = 75
