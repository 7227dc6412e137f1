"""What a benchmark of frozen encoders reads and compares (configs/transfer/)."""

import dataclasses

from gair_jax.config import DataConfig, setting


@dataclasses.dataclass(kw_only=True)
class TransferConfig:
    """Linear probes of a checkpoint on the labelled tasks of a prepared data set.

    `features` names what is probed: sv (the photo), rs (NILI's answer at the photo's point in its
    window), location (the place), or several joined by + and concatenated (paper section 5.1).
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    tasks: tuple[str, ...] = setting((), 'run', '() is every one that labels points')
    features: tuple[str, ...] = setting(('sv', 'rs', 'location'), 'run', 'as sv or sv+rs+location')
    shares: tuple[float, ...] = setting((1.0,), 'run', 'of the training rows that are fitted, 0..1')
    seeds: int = setting(3, 'run', 'draws of a share below 1, and random initialisations; >= 1')
    train_rows: int = setting(2000, 'run', 'photos read of the split train at most; 0: all')
    val_rows: int = setting(500, 'run', 'of val, which chooses the penalty')
    test_rows: int = setting(1000, 'run', 'of test, which is scored once')
    seed: int = setting(0, 'run', 'of the draws of rows, shares and bootstrap samples')
