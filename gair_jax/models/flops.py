"""Floating-point operations from the sizes alone, two for each multiply-add.

Only matrix products count; norms, activations and softmax do not. This is the numerator of every
rate, whatever a compiler makes of the program.
"""

from gair_jax.config import Config
from gair_jax.models.gair import Model
from gair_jax.models.location import LocationEncoder, LocationSpec
from gair_jax.models.nili import NiliSpec
from gair_jax.models.place_towers import kernels
from gair_jax.models.vit import VitSpec


def vit(spec: VitSpec) -> int:
    """Of one image of the size that `spec` names."""
    layers, n = spec.layers, spec.patches + int(spec.class_token)
    d = layers.dim
    products = n * (4 * d * d + 2 * d * layers.mlp_dim)
    attention = 2 * n * n * d
    patch = spec.patches * spec.channels * spec.patch**2 * d
    pooler = d * d if spec.pooling == 'pooler' else 0
    return 2 * (patch + layers.depth * (products + attention) + pooler)


def location(spec: LocationSpec) -> int:
    """Of one place, all scales."""
    widths = (2 * spec.frequencies, *spec.hidden, spec.embed_dim)
    branch = 2 * spec.frequencies + _chain(widths)
    return 2 * len(spec.sigma) * branch


def place(model: Model) -> int:
    """Of one place by the location encoder, 0 without one; what the host does is not in it."""
    if model.location is None:
        return 0
    if isinstance(model.location, LocationEncoder):
        return location(model.location.spec)
    return 2 * sum(rows * columns for rows, columns in kernels(model.location, model.place_width))


def nili(spec: NiliSpec) -> int:
    """Of one point, by the schedule 'gather'."""
    cells = 4 if spec.ensemble else 1
    return 2 * cells * _chain((9 * spec.dim + 2, *spec.hidden, spec.embed_dim))


def embed(model: Model) -> int:
    """Of one tile with one point in it, one photo and one place, as far as the model has them."""
    total = 0
    for encoder in (model.rs, model.sv):
        total += vit(encoder.spec) if encoder is not None else 0
    total += place(model)
    if isinstance(spec := getattr(model.nili, 'spec', None), NiliSpec):
        total += nili(spec)
    return total


def train_step(config: Config, model: Model) -> int:
    """Of one training step: forward, and twice that for the slopes of inputs and of weights.

    Counted once whatever the program computes again (remat, accumulation, blocks of the loss).
    """
    places = config.bank.size if config.bank.content == 'positions' else 0
    past = places * place(model)
    return 3 * (config.batch * embed(model) + past + 2 * config.model.embed_dim * pairs(config))


def pairs(config: Config) -> int:
    """Cosines of a batch: of INCL, tile with photo both ways, and of SECL, both with places."""
    n, model, loss = config.batch, config.model, config.loss
    sides = int(model.rs.enabled) + int(model.sv.enabled)
    incl = 2 * n * n if sides == 2 else 0
    columns = {'positive_and_bank': 0, 'batch_and_bank': n, 'batch_only': n}[loss.secl_denominator]
    columns += config.bank.size if loss.secl_denominator != 'batch_only' else 0
    return incl + (sides * n * columns if model.location.enabled else 0)


def _chain(widths: tuple[int, ...]) -> int:
    """Multiply-adds of a chain of linear layers."""
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))
