"""How a head, or a head and its encoders, are trained on a label (protocols frozen and full)."""

import dataclasses

from gair_jax.config import InputError, setting

SCHEDULES = ('constant', 'cosine', 'steps')


@dataclasses.dataclass(kw_only=True)
class FitConfig:
    """Training by `train.loop`; the defaults are the paper's (section 5), where it tells them."""

    batch: int = setting(256, 'run', 'rows a step at most; all of fewer training rows')
    epochs: float = setting(50.0, 'run', 'passes over the training rows')
    rate: float = setting(1e-3, 'run', 'peak learning rate of the head')
    probe_rate: float = setting(1e-2, 'run', 'that of a probe of patches, which masks are read by')
    encoder_rate: float = setting(0.1, 'run', 'that of the encoders, in rates of the head')
    weight_decay: float = setting(0.01, 'run', 'decoupled decay')
    decay_all: bool = setting(False, 'run', 'norms and biases are decayed too')
    warmup: float = setting(0.05, 'run', 'share of the run with rising rate, 0..1')
    schedule: str = setting('cosine', 'run', 'after warm-up: constant, cosine, steps (0.6, 0.9)')
    head: str = setting('linear', 'run', 'of points: linear, or nonlinear (two layers)')
    augment: bool = setting(False, 'run', "flips and jitter of the checkpoint's pre-training")
    seeds: int = setting(1, 'run', 'of heads and order, each with its random initialisation')
    validate_every: float = setting(1.0, 'run', 'epochs between validations; the best is tested')
    crop: int = setting(0, 'run', "side of a mask's windows, pixels; 0: as the encoder was trained")
    crops: int = setting(1, 'run', 'windows of a tile in a pass over training tiles, and in val')
    scaling: str = setting('contract', 'run', "of masks' bands: contract, z_score or gair")
    dates: int = setting(0, 'run', 'of masks; 0: one, or those that the data set says')
    merging: str = setting('linear', 'run', 'of dates: linear or ltae')
    channels: int = setting(512, 'run', "UPerNet's width")
    levels: tuple[int, ...] = setting((), 'run', 'layers that UPerNet reads; (): four, evenly')


def check(settings: FitConfig) -> None:
    """Refuses values that no data set could make sense of."""
    least = {'batch': 1, 'weight_decay': 0, 'encoder_rate': 0, 'seeds': 1, 'crop': 0, 'crops': 1}
    for name, bound in (least | {'dates': 0, 'channels': 1, 'warmup': 0}).items():
        if not getattr(settings, name) >= bound:
            found = getattr(settings, name)
            raise InputError(f'fit.{name}: expected {bound} or more, found {found}.')
    for name in ('epochs', 'rate', 'probe_rate', 'validate_every'):
        if not getattr(settings, name) > 0:
            raise InputError(f'fit.{name}: expected more than 0, found {getattr(settings, name)}.')
    if settings.schedule not in SCHEDULES:
        expected = ' or '.join(SCHEDULES)
        raise InputError(f'fit.schedule: expected {expected}, found {settings.schedule!r}.')
