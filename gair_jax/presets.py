"""The three readings of GAIR as configs; each only sets values.

The paper is arXiv 2503.16683; "release" is the authors' public inference code, "history" the
training code in the same repository's first public commit.
"""

from gair_jax.config import Config


def paper() -> Config:
    """The model and training that the paper describes (its section 4)."""
    config = Config()
    rs = config.model.rs
    rs.patch, rs.heads, rs.position = 8, 16, 'alibi'
    rs.qkv_bias, rs.norm_eps = False, 1e-5
    return config


def release() -> Config:
    """The public inference code: loads the official weights and reproduces their numbers."""
    config = paper()
    config.input.rs.placement = 'whole'
    config.input.rs.kernel = config.input.sv.kernel = 'cubic'
    config.model.rs.final_norm = False
    sv = config.model.sv
    sv.class_token, sv.pooling, sv.norm_eps = True, 'pooler', 1e-12
    config.model.nili.hidden, config.model.nili.padding = (), 'zeros'
    config.model.projections = ('sv',)
    return config


def history() -> Config:
    """The authors' earlier training code, its transposed query coordinates included."""
    config = release()
    config.input.rs.kernel = config.input.sv.kernel = 'cubic_antialias'
    config.model.rs.final_norm = True
    config.model.sv.attention_dropout = 0.1
    config.model.nili.coordinates = 'history'
    config.loss.secl_weight, config.loss.distillation = 1.0, 0.2
    config.bank.start = 'null_island'
    opt = config.optimizer
    opt.rate, opt.rate_batch, opt.b2, opt.weight_decay = 1.44e-4, 0, 0.95, 0.05
    return config


PRESETS = {'paper': paper, 'release': release, 'history': history}
