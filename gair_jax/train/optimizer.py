"""AdamW with linear warm-up and cosine decay (paper section 4)."""

import jax
import optax

from gair_jax.config import Config, InputError
from gair_jax.train.label_objective import HEAD, STATISTICS
from gair_jax.train.schedules import multistep

# Norm scales, biases and single scalars are not decayed. By name, because stacked layers make
# them matrices. `frequencies`, `directions`, `shift` and `anchors` are what places are encoded
# by: they have no gradient, so without decay they never move.
UNDECAYED = (
    'bias', 'scale', 'frequencies', 'directions', 'shift', 'anchors', 'log_temperature',
)  # fmt: skip


def peak_rate(config: Config) -> float:
    """The largest learning rate of the run."""
    opt = config.optimizer
    return opt.rate * config.batch / opt.rate_batch if opt.rate_batch else opt.rate


def total_steps(config: Config, examples: int) -> int:
    """The length of the run; `examples` is the size of the training split."""
    return config.steps or max(1, round(config.epochs * examples / config.batch))


def schedule(config: Config, steps: int) -> optax.Schedule:
    """Step -> learning rate: linear from zero during warm-up, then as `optimizer.schedule` says."""
    opt = config.optimizer
    warmup = round(opt.warmup * steps)
    after = {
        'cosine': optax.cosine_decay_schedule(peak_rate(config), max(1, steps - warmup)),
        'constant': optax.constant_schedule(peak_rate(config)),
        'steps': multistep(peak_rate(config), steps - warmup),
    }
    if opt.schedule not in after:
        raise InputError(
            f'optimizer.schedule: expected one of {sorted(after)}, found {opt.schedule!r}.'
        )
    # The first of w warm-up steps has rate 1/w of the peak, not zero: no step is without effect.
    rise = optax.linear_schedule(
        peak_rate(config) / max(1, warmup), peak_rate(config), max(1, warmup - 1)
    )
    return optax.join_schedules([rise, after[opt.schedule]], [warmup])


def decay_mask(params: optax.Params) -> optax.Params:
    """True where weight decay acts."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key not in UNDECAYED, params)


def create(config: Config, steps: int) -> optax.GradientTransformation:
    """The optimiser of a run of `steps` steps."""
    opt, rate = config.optimizer, schedule(config, steps)
    made = _by_part(config, rate) if config.loss.objective == 'label' else _plain(config, rate)
    return optax.chain(optax.clip_by_global_norm(opt.clip), made) if opt.clip else made


def _plain(config: Config, rate: optax.Schedule) -> optax.GradientTransformation:
    opt = config.optimizer
    mask = None if opt.decay_all else decay_mask
    makers = {
        'adamw': lambda: optax.adamw(
            rate, b1=opt.b1, b2=opt.b2, weight_decay=opt.weight_decay, mask=mask
        ),
        'sgd': lambda: optax.sgd(rate),
    }
    if opt.name not in makers:
        raise InputError(f'optimizer.name: expected one of {sorted(makers)}, found {opt.name!r}.')
    return makers[opt.name]()


def _by_part(config: Config, rate: optax.Schedule) -> optax.GradientTransformation:
    """The head at its rate, the encoders at theirs or not at all, running statistics never."""
    head = config.head
    if head.encoder_rate < 0:
        raise InputError(f'head.encoder_rate: expected 0 or more, found {head.encoder_rate}.')
    encoders = _plain(config, lambda step: head.encoder_rate * rate(step))
    parts = {
        'head': _plain(config, rate),
        'encoders': optax.set_to_zero() if head.frozen else encoders,
        'statistics': optax.set_to_zero(),
    }
    return optax.multi_transform(parts, _parts)


def _parts(params: optax.Params) -> optax.Params:
    """The part of `_by_part` that each leaf belongs to."""
    names = {HEAD: 'head', STATISTICS: 'statistics'}
    return jax.tree_util.tree_map_with_path(
        lambda path, _: names.get(path[0].key, 'encoders'), params
    )
