"""The runs of a study: found in folders, compared in their settings, scored each by the benchmark.

What a run scores is kept on disk under a key of its parameters and all settings, so that a study
that was stopped goes on behind its last run.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.store import Store
from gair_jax.train import checkpoint
from gair_jax.train.fingerprint import fingerprint
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer import benchmark
from gair_jax.transfer.point_features import described
from gair_jax.transfer.scoring import Hits
from gair_jax.transfer.settings import TransferConfig, check

EDITION = 1  # counts up when what is kept of a run changes


class Run(NamedTuple):
    """A checkpoint that takes part.

    folder: of its newest step: the one with the lowest validation loss, which `checkpoint.load`
      takes, would hide what training on has done.
    step: 0 where it has no number.
    """

    name: str
    folder: pathlib.Path
    step: int
    config: Config


class Scored(NamedTuple):
    """A run with the entries and hits of `benchmark.evaluate`."""

    run: Run
    entries: list[dict[str, Any]]
    hits: list[Hits | None]


def find(paths: Sequence[str]) -> list[Run]:
    """The runs of workdirs, checkpoints, or folders of workdirs such as a sweep's.

    Raises:
      InputError: a path holds none, or a run twice.
    """
    found = [run for path in paths for run in _runs(pathlib.Path(path).absolute())]
    folders = [run.folder.resolve() for run in found]
    if twice := [run for run in found if folders.count(run.folder.resolve()) > 1]:
        raise InputError(f'{twice[0].folder}: expected each run once, found it twice.')
    return found


def require_alike(runs: Sequence[Run], varied: Sequence[str]) -> None:
    """Refuses runs that differ in more than `varied` (dotted names) and their seed, or in length.

    Settings of where and how a run was done may differ too.
    """
    first = runs[0]
    stored = checkpoint.to_json(first.config)
    for run in runs[1:]:
        told = checkpoint.differences(stored, run.config)
        other = [text for text in told if text.split(' was ')[0] not in ('seed', *varied)]
        if other:
            raise InputError(f'{run.name}: differs from {first.name}: config.{other[0]}.')
        if run.step != first.step:
            raise InputError(
                f'{run.name}: expected step {first.step}, which {first.name} has reached, found '
                f'{run.step}; is the sweep finished?'
            )


def evaluate(settings: TransferConfig, runs: Sequence[Run], out: pathlib.Path) -> list[Scored]:
    """Scores every run on the same rows.

    Args:
      settings: of the benchmark.
      runs: of the study.
      out: keeps `runs`, what each scored, and the benchmark's `features` and `fits`.

    Raises:
      InputError: a setting, a run or the data set cannot be used.
    """
    check(settings)
    Store(settings.data)  # before anything is loaded
    found = []
    with ProgressBar('runs', len(runs)) as bar:
        for run in runs:
            found.append(_kept(settings, run, out))
            bar.update(len(found), run.name)
    return found


def _runs(path: pathlib.Path) -> list[Run]:
    if not path.is_dir():
        raise InputError(f'{path}: no such workdir, or folder of workdirs.')
    inner = sorted(child for child in path.iterdir() if (child / 'config.json').is_file())
    if (path / 'config.json').is_file() or not inner:
        return [_run(path)]
    return [_run(child) for child in inner]


def _run(path: pathlib.Path) -> Run:
    steps = checkpoint.steps_in(path / 'checkpoints')
    folder = steps[-1] if steps else checkpoint.folder_of(path)
    config, _ = checkpoint.read_record(checkpoint.stored_record(folder))
    step = int(folder.name) if folder.name.isdigit() else 0
    if config.steps and steps and step < config.steps:
        raise InputError(f'{path}: expected a finished run, found step {step} of {config.steps}.')
    return Run(path.name, folder, step, config)


def _kept(settings: TransferConfig, run: Run, out: pathlib.Path) -> Scored:
    """What a run scores, from disk where that was found before."""
    config, params, _ = checkpoint.load(run.folder)
    key = _key(settings, config, params)
    path = out / 'runs' / f'{hashlib.sha256(key.encode()).hexdigest()[:24]}.json'
    if not path.exists():
        made = benchmark.evaluate(settings, config, params, str(out / 'features'))
        hits = [own and [array.tolist() for array in own] for own in made.hits]
        text = json.dumps({'key': key, 'entries': made.entries, 'hits': hits})
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix('.part')
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    found = json.loads(path.read_text(encoding='utf-8'))
    return Scored(run, found['entries'], [own and _hits(*own) for own in found['hits']])


def _key(settings: TransferConfig, config: Config, params: dict[str, Any]) -> str:
    """Of all that the scores depend on."""
    values = checkpoint.to_json(config)
    own = dataclasses.asdict(settings)
    for name in ('dir', 'threads'):
        del own['data'][name]
    return json.dumps(
        [EDITION, fingerprint(params), values['model'], values['input'], values['seed'], own,
         described(Store(settings.data))],
        sort_keys=True,
    )  # fmt: skip


def _hits(lonlat: list[Any], groups: list[Any], right: list[Any]) -> Hits:
    return Hits(np.array(lonlat, np.float64), np.array(groups, np.int64), np.array(right, bool))
