"""AdamW with linear warm-up and cosine decay (paper section 4)."""

import jax
import optax

from gair_jax.config import Config, InputError

# Norm scales, biases and single scalars are not decayed. By name, because stacked layers make
# them matrices. `frequencies` is the fixed matrix of the location encoder: it has no gradient,
# so without decay it never moves.
UNDECAYED = ('bias', 'scale', 'frequencies', 'log_temperature')


def peak_rate(config: Config) -> float:
    """The largest learning rate of the run."""
    opt = config.optimizer
    return opt.rate * config.batch / opt.rate_batch if opt.rate_batch else opt.rate


def total_steps(config: Config, examples: int) -> int:
    """The length of the run; `examples` is the size of the training split."""
    return config.steps or max(1, round(config.epochs * examples / config.batch))


def schedule(config: Config, steps: int) -> optax.Schedule:
    """Step -> learning rate: linear from zero during warm-up, then cosine to zero or constant."""
    opt = config.optimizer
    warmup = round(opt.warmup * steps)
    after = {
        'cosine': optax.cosine_decay_schedule(peak_rate(config), max(1, steps - warmup)),
        'constant': optax.constant_schedule(peak_rate(config)),
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
    opt = config.optimizer
    rate = schedule(config, steps)
    makers = {
        'adamw': lambda: optax.adamw(
            rate, b1=opt.b1, b2=opt.b2, weight_decay=opt.weight_decay, mask=decay_mask
        ),
        'sgd': lambda: optax.sgd(rate),
    }
    if opt.name not in makers:
        raise InputError(f'optimizer.name: expected one of {sorted(makers)}, found {opt.name!r}.')
    made = makers[opt.name]()
    return optax.chain(optax.clip_by_global_norm(opt.clip), made) if opt.clip else made
