"""Which form of the contrastive loss a run takes, by what the others would hold."""

from typing import NamedTuple

from gair_jax.config import Config, InputError
from gair_jax.losses.log_sum_exp import FORMS, block_side

PLAIN_LIMIT = 2**30  # bytes a device for the logits and what is made of them
GATHER_LIMIT = 2**32  # bytes a device for the candidates of all devices
# Logits, their exponentials and their slopes are held at once in one direction.
HELD = 3


class LossBytes(NamedTuple):
    """Largest arrays of the loss on one device, bytes: logits, and candidates from elsewhere."""

    logits: int
    candidates: int


def held(config: Config, devices: int, form: str) -> LossBytes:
    """What `form` holds."""
    columns = config.batch + config.bank.size
    width = 4 if config.loss.products == 'float32' else 2
    gathered = 0 if devices == 1 else columns * config.model.embed_dim * width
    rows = -(-config.batch // devices)
    if form == 'plain':
        return LossBytes(4 * HELD * rows * columns, gathered)
    side = block_side(rows)
    block = 4 * HELD * min(rows, side) * min(columns, side)
    return LossBytes(block, gathered if form == 'chunked' else 3 * gathered // devices)


def choose(config: Config, devices: int) -> str:
    """The configured form; 'auto' takes the first that fits of plain, chunked and ring.

    Raises:
      InputError: an unknown form.
    """
    form = config.loss.form
    if form not in ('auto', *FORMS):
        raise InputError(f'loss.form: expected one of auto, {", ".join(FORMS)}, found {form!r}.')
    if form != 'auto':
        return form
    if held(config, devices, 'plain').logits <= PLAIN_LIMIT:
        return 'plain'
    fits = held(config, devices, 'chunked').candidates <= GATHER_LIMIT
    return 'chunked' if fits else 'ring'


def remark(config: Config, devices: int) -> str:
    """A sentence about the choice; '' where it was not left to us or is the plain one."""
    form = choose(config, devices)
    if config.loss.form != 'auto' or form == 'plain':
        return ''
    would = held(config, devices, 'plain').logits / 2**30
    return (
        f'The loss takes its {form} form: the plain one would hold {would:.1f} GiB of logits '
        'a device (loss.form).'
    )
