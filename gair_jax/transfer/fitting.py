"""Fine-tuning: a label learnt by the one trainer, from parameters at hand, and what it answers.

What is fitted and answered is kept on disk under a key of everything that it depends on: a killed
run goes on where it was, and a finished one answers at once.
"""

import copy
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import CheckpointConfig, Config, HeadConfig, InitConfig
from gair_jax.input.pipeline import Pipeline
from gair_jax.models.gair import Params
from gair_jax.train import checkpoint, label_objective, loop
from gair_jax.train.fingerprint import fingerprint
from gair_jax.transfer.fit_settings import FitConfig

Rows = Mapping[str, np.ndarray]  # indices of records, by split
# Sub-trees that features may come from; a projection is the loss's own, and is left out.
_KEPT = ('rs', 'nili', 'sv', 'location')


class Fit(NamedTuple):
    """One training of a head.

    config: the whole run.
    params: sub-trees to start from.
    rows: records of train and val.
    data: what tells two builds of the data set apart.
    """

    config: Config
    params: Params
    rows: Rows
    data: Any

    def key(self, answered: np.ndarray) -> str:
        """Of everything that answers to the records `answered` depend on."""
        rows = {**self.rows, 'answered': answered}
        text = {
            'config': checkpoint.to_json(self.config),
            'parameters': fingerprint(self.params),
            'rows': {k: hashlib.sha256(np.int64(v).tobytes()).hexdigest() for k, v in rows.items()},
            'data': self.data,
        }
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()[:24]


def configure(
    settings: FitConfig, run: Config, head: HeadConfig, examples: int, *, seed: int
) -> Config:
    """The training run of a head on the encoders of `run`.

    Args:
        settings: how it is trained.
        run: of the checkpoint, with the data set that holds the label.
        head: what is learnt, from which sides.
        examples: rows of train.
        seed: of the head, and of the order of rows.
    """
    config = copy.deepcopy(run)
    config.seed, config.loss.objective, config.head = seed, 'label', head
    config.bank.size, config.model.clip_hidden = 0, 0
    # Parameters are at hand; what the checkpoint's own run started from may be gone.
    config.init, config.checkpoint = InitConfig(), CheckpointConfig()
    config.data.train_split, config.data.eval_split, config.data.balance = 'train', 'val', 'none'
    config.data.sample = ''
    for side in ('rs', 'sv', 'location'):
        getattr(config.model, side).enabled = side in head.features
    config.input.augment, config.input.noise.kappa = settings.augment, 0.0
    # The batch is split evenly over the devices.
    devices = jax.device_count()
    config.batch = max(1, min(settings.batch, examples) // devices) * devices
    config.steps, config.epochs, config.accumulation = 0, settings.epochs, 1
    _set_optimizer(config, settings)
    if head.target == 'mask' and head.decoder != 'upernet':
        config.optimizer.rate = settings.probe_rate
    epoch = max(1, round(examples * settings.validate_every / config.batch))
    config.eval.every, config.eval.batches = epoch, 2**30
    config.checkpoint.every, config.checkpoint.keep = epoch, 1
    config.log.tensorboard = False
    return config


def _set_optimizer(config: Config, settings: FitConfig) -> None:
    opt = config.optimizer
    opt.name, opt.rate, opt.rate_batch, opt.clip = 'adamw', settings.rate, 0, 0.0
    opt.b1, opt.b2 = 0.9, 0.999
    opt.weight_decay, opt.decay_all = settings.weight_decay, settings.decay_all
    opt.warmup, opt.schedule = settings.warmup, settings.schedule


def kept(params: Params, head: HeadConfig) -> Params:
    """The sub-trees that the features of a head come from."""
    wanted = {*head.features, *(('nili',) if 'rs' in head.features else ())}
    return {name: params[name] for name in _KEPT if name in wanted and name in params}


Answer = Callable[[Config, Params], np.ndarray]


def answers(fit: Fit, answered: np.ndarray, folder: pathlib.Path, answer: Answer) -> np.ndarray:
    """What the best parameters of a fit answer; trained first, unless that was done.

    Args:
        fit: the training.
        answered: indices of the records that are answered, for the key.
        folder: keeps what is fitted and answered.
        answer: (config, best parameters) -> answers, a row a record.

    Raises:
        InputError: the settings or the data set cannot be used.
        loop.NonFiniteStepError: a step was not finite.
        loop.StoppedError: a signal came; the same call goes on from there.
    """
    workdir = folder / fit.key(answered)
    stored = workdir / 'answers.npy'
    if not stored.exists():
        loop.train(fit.config, workdir, given=fit.params, rows=fit.rows, say=_nothing)
        _, params, _ = checkpoint.load(workdir)
        part = workdir / 'answers.part'
        with part.open('wb') as file:
            np.save(file, answer(fit.config, params))
        os.replace(part, stored)
        shutil.rmtree(workdir / 'checkpoints')  # the best one stays
    return np.load(stored, allow_pickle=False)


def point_answers(
    config: Config, params: Params, *, split: str, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Classes int64 [n], or values float64 [n, k], of records of a split.

    Args:
        config: of the fit.
        params: fitted.
        split: of the data set.
        rows: indices of its records.
        seed: places the windows, as for every other protocol.
    """
    model, head = label_objective.create(config)
    shown = copy.deepcopy(config)
    shown.seed = seed
    data = Pipeline(shown, split, train=False, rows=rows)

    @jax.jit
    def answer(params: Params, batch: dict[str, jax.Array]) -> jax.Array:
        features = label_objective.encode(model, params, batch, teacher={}, key=None)
        return label_objective.answers(head, params, features)[0]

    found = []
    for step in range(data.steps_per_epoch):
        batch = data.batch(step)
        valid = batch.pop('valid')
        batch.pop('label')
        found.append(np.asarray(answer(params, batch))[valid])
    values = np.concatenate(found)
    if config.head.target == 'class':
        return values.argmax(axis=1)
    mean, std = (np.array(v, np.float64) for v in (config.head.mean, config.head.std))
    return values.astype(np.float64) * std + mean


def _nothing(text: str) -> None:
    """The bar of the training says enough."""
