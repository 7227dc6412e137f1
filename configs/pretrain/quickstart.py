"""The quickstart: a small GAIR on the synthetic world, some minutes on 2 cores.

gair data build synthetic_world --variant tiny
gair train --config=configs/pretrain/quickstart.py --workdir=runs/quickstart
"""

from gair_jax.config import Config
from gair_jax.configs.pretrain import base


def get_config(preset: str = 'paper') -> Config:
    """Encoders 128 wide, 32-pixel windows, 64-pixel photos."""
    config = base.get_config(preset)
    config.data.name, config.data.variant = 'synthetic_world', 'tiny'
    config.batch, config.steps = 128, 300
    config.input.rs.window = config.input.rs.size = 32
    config.input.date = 'first'  # the summer day that the photos show too
    config.input.rs.jitter = config.input.sv.jitter = 0.0
    config.input.sv.size = 64
    config.input.sv.flip = 0.0
    model = config.model
    model.embed_dim = 128
    for encoder, patch in ((model.rs, 4), (model.sv, 8)):
        encoder.size, encoder.patch = 'Ti', patch
        encoder.dim, encoder.depth, encoder.heads, encoder.mlp_dim = 128, 3, 4, 256
    model.location.hidden = (128,)
    model.location.frequencies = 64
    model.nili.hidden = (128, 128)
    model.rolled = True
    config.bank.size = 512
    config.optimizer.rate, config.optimizer.rate_batch = 1e-3, 0
    config.optimizer.warmup = 0.1
    config.checkpoint.every = config.eval.every = 150
    return config
