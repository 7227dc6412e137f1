"""What a benchmark of encoders reads and compares (configs/transfer/)."""

import dataclasses

from gair_jax.config import DataConfig, InputError, setting
from gair_jax.transfer import fit_settings
from gair_jax.transfer.fit_settings import FitConfig

PROTOCOLS = ('linear', 'nonlinear', 'frozen', 'full')
KINDS = ('class', 'regression', 'mask')
SCHEDULES = ('constant', 'cosine')


@dataclasses.dataclass(kw_only=True)
class NonlinearConfig:
    """How the two-layer probes are fitted (paper section 5), by AdamW."""

    rates: tuple[float, ...] = setting((1e-3,), 'run', 'learning rates; val chooses among them')
    batch: int = setting(256, 'run', 'rows a step at most; all of fewer training rows')
    epochs: int = setting(50, 'run', 'passes over the training rows; val chooses after which')
    weight_decay: float = setting(0.01, 'run', 'decoupled decay; not on biases')
    seeds: int = setting(3, 'run', 'of parameters and order; scores are means over them')
    schedule: str = setting(
        'constant', 'run', 'of the rate; cosine falls to 0 after a rise over 5 % of the steps'
    )


@dataclasses.dataclass(kw_only=True)
class TransferConfig:
    """Probes of a checkpoint on the labelled tasks of a prepared data set.

    `features` names what is probed: sv (the photo), rs (NILI's answer at the photo's point in its
    window), location (the place), or several joined by + and concatenated (paper section 5.1).
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    tasks: tuple[str, ...] = setting((), 'run', '() is every one that the protocols fit')
    kinds: tuple[str, ...] = setting(KINDS, 'run', 'of the tasks that are probed')
    features: tuple[str, ...] = setting(('sv', 'rs', 'location'), 'run', 'as sv or sv+rs+location')
    protocols: tuple[str, ...] = setting(
        ('linear',),
        'run',
        'linear, nonlinear (two layers), of masks of each patch; frozen: of masks, a decoder on '
        'the frozen encoder; full: all is trained',
    )
    metric: str = setting(
        '',
        'run',
        'main score: accuracy, macro_f1, weighted_f1, minority_f1 (two classes); R2, RMSE, MAE; '
        "mIoU, mF1, iou_1 (two classes); '' is accuracy of classes, R2 of numbers, mIoU of masks",
    )
    shares: tuple[float, ...] = setting((1.0,), 'run', 'of the training rows that are fitted, 0..1')
    per_class: tuple[int, ...] = setting(
        (), 'run', 'rows that are fitted of each class, or tenth of the numbers; beside the shares'
    )
    seeds: int = setting(3, 'run', 'draws of few labels, and random initialisations; >= 1')
    train_rows: int = setting(
        2000, 'run', 'photos (or tiles of masks) of the split train at most; 0: all'
    )
    val_rows: int = setting(500, 'run', 'of val, which chooses penalty, rate and epoch')
    test_rows: int = setting(1000, 'run', 'of test, which is scored once')
    block_km: float = setting(0.0, 'run', 'side of the blocks intervals are drawn over; 0: tiles')
    seed: int = setting(0, 'run', 'of the draws of rows, few labels and bootstrap samples')
    nonlinear: NonlinearConfig = dataclasses.field(default_factory=NonlinearConfig)
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)


def check(settings: TransferConfig) -> None:
    """Refuses values that no data set could make sense of."""
    optional = ('shares', 'per_class') if settings.per_class else ('per_class',)
    for name in ('features', 'shares', 'per_class', 'protocols', 'kinds'):
        values = getattr(settings, name)
        if not values and name not in optional:
            raise InputError(f'{name}: expected at least one, found none.')
        if twice := [value for value in values if values.count(value) > 1]:
            raise InputError(f'{name}: expected each once, found {twice[0]!r} twice.')
    if odd := [name for name in settings.protocols if name not in PROTOCOLS]:
        raise InputError(f'protocols: expected {" or ".join(PROTOCOLS)}, found {odd[0]!r}.')
    if odd := [name for name in settings.kinds if name not in KINDS]:
        raise InputError(f'kinds: expected {" or ".join(KINDS)}, found {odd[0]!r}.')
    if wrong := [share for share in settings.shares if not 0 < share <= 1]:
        raise InputError(f'shares: expected more than 0 and at most 1, found {wrong[0]}.')
    if few := [count for count in settings.per_class if count < 1]:
        raise InputError(f'per_class: expected 1 or more, found {few[0]}.')
    rows = {f'{split}_rows': 0 for split in ('train', 'val', 'test')}
    _require_least(settings, {'seeds': 1, 'block_km': 0, **rows})
    check_nonlinear(settings.nonlinear, 'nonlinear')
    fit_settings.check(settings.fit)
    if settings.fit.seeds > settings.seeds:
        raise InputError(
            f'fit.seeds: expected at most seeds, {settings.seeds}, found {settings.fit.seeds}.'
        )


def check_nonlinear(settings: NonlinearConfig, where: str) -> None:
    """Refuses values that cannot be fitted with; `where` is the name of the section."""
    least = {'batch': 1, 'epochs': 1, 'weight_decay': 0, 'seeds': 1}
    _require_least(settings, least, f'{where}.')
    if not settings.rates:
        raise InputError(f'{where}.rates: expected at least one, found none.')
    if wrong := [rate for rate in settings.rates if not rate > 0]:
        raise InputError(f'{where}.rates: expected more than 0, found {wrong[0]}.')
    if settings.schedule not in SCHEDULES:
        raise InputError(
            f'{where}.schedule: expected {" or ".join(SCHEDULES)}, found {settings.schedule!r}.'
        )


def _require_least(settings: object, least: dict[str, int], where: str = '') -> None:
    for name, bound in least.items():
        if not getattr(settings, name) >= bound:
            found = getattr(settings, name)
            raise InputError(f'{where}{name}: expected {bound} or more, found {found}.')
