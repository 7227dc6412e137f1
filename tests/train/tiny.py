"""The smallest run that has every part: used by the tests of training."""

import pathlib

from gair_jax import presets
from gair_jax.config import Config


def tiny_config(data_dir: pathlib.Path, name: str, variant: str) -> Config:
    """Encoders 8 wide on the toy data set; every part of the model and the loss is in use."""
    config = presets.paper()
    config.batch, config.steps = 4, 6
    config.data.dir, config.data.name, config.data.variant = str(data_dir), name, variant
    config.input.rs.window = config.input.rs.size = 8
    config.input.sv.size = 16
    model = config.model
    model.embed_dim, model.rolled = 8, True
    for encoder, patch in ((model.rs, 4), (model.sv, 8)):
        encoder.patch = patch
        encoder.dim, encoder.depth, encoder.heads, encoder.mlp_dim = 8, 2, 2, 8
    model.location.hidden, model.location.frequencies = (8,), 4
    model.nili.hidden = (8,)
    model.mae.decoder_dim, model.mae.decoder_depth, model.mae.decoder_heads = 8, 1, 2
    model.mae.photo_side = 4
    config.bank.size = 6
    config.optimizer.rate, config.optimizer.rate_batch = 1e-2, 0
    config.checkpoint.every, config.eval.every, config.log.every = 2, 3, 1
    config.log.tensorboard = False
    return config
