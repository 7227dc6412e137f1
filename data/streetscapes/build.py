"""A build from a table to a prepared set: stages in order, each of which goes on where it was."""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rich import console

from gair_jax.builders.streetscapes import (
    check,
    costs,
    pack,
    pair,
    photos_fetch,
    plan,
    plan_files,
    scenes_fetch,
    scenes_select,
    scenes_source,
)
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError

# Those before `pair` are shared by workers; the others need what all of them did.
SHARED = ('plan', 'search', 'select', 'fetch-scenes', 'fetch-photos')
STAGES = (*SHARED, 'pair', 'pack', 'check')
QUIET = ('plan', 'pair')


class Done(NamedTuple):
    """How a stage ended.

    stage: its name.
    said: what it did, for a person.
    failed: keys that may be had by the next run.
    stopped: the signal that ended it; '' if it was done.
    faults: what `check` found to be wrong, a sentence each.
    card: folder of the tables that `check` wrote; of other stages ''.
    """

    stage: str
    said: str
    failed: int = 0
    stopped: str = ''
    faults: tuple[str, ...] = ()
    card: str = ''


class Job(NamedTuple):
    """A run of a build.

    settings: of the build. out: its folder. data_dir: of prepared sets. worker, workers: which
    share is done, of how many. processes: that pack. allow_failed: pair and pack without photos and
    scenes that may still be had. beam: options for Beam, which then makes the chunks of `pack`.
    """

    settings: StreetscapesConfig
    out: pathlib.Path
    data_dir: pathlib.Path
    worker: int = 0
    workers: int = 1
    processes: int = 1
    allow_failed: bool = False
    beam: str = ''


def chosen(names: tuple[str, ...], workers: int) -> tuple[str, ...]:
    """The stages to run, in order: those named, else all that a worker can do.

    Raises:
      InputError: there is no such stage, or one that needs all workers is asked of one.
    """
    if unknown := [name for name in names if name not in STAGES]:
        raise InputError(f'--stages: expected {", ".join(STAGES)}, found {unknown[0]!r}.')
    if workers > 1 and (late := [name for name in names if name not in SHARED]):
        raise InputError(
            f'--stages: {late[0]} needs what all workers did: run it once, without --worker.'
        )
    return tuple(name for name in (SHARED if workers > 1 else STAGES) if name in (names or STAGES))


def run(job: Job, stages: tuple[str, ...]) -> Iterator[Done]:
    """Runs stages, and ends early where a signal came or `pair` would leave out what failed.

    Args:
      job: what is built.
      stages: of `chosen`.

    Raises:
      InputError: something cannot be used; nothing is lost, and the same call goes on.
    """
    # All at once: what the last stage refuses would otherwise show after days of fetching.
    scenes_source.check(job.settings.scenes)
    photos_fetch.check(job.settings.photos)
    pack.check(job.settings)
    failed = 0
    for stage in stages:
        if stage == 'pair' and failed and not job.allow_failed:
            return
        with _busy(stage):
            done = _RUN[stage](job)
        failed += done.failed
        yield done
        if done.stopped:
            return


def _busy(stage: str) -> contextlib.AbstractContextManager[object]:
    """A mark that moves on a terminal, for the stages without a bar of their own."""
    if stage not in QUIET or not sys.stderr.isatty():
        return contextlib.nullcontext()
    return console.Console(stderr=True).status(stage)


def forecast(job: Job) -> str:
    """Plans, and says what the rest costs at most, beside what was spent already."""
    with _busy('plan'):
        counts = plan.plan(job.settings, job.out)
    return f'{_listed(counts)}; {costs.text(job.settings, job.out, job.data_dir)}'


def _plan(job: Job) -> Done:
    counts = plan.plan(job.settings, job.out)
    return Done('plan', _listed(counts))


def _scenes(stage: str, work: Callable) -> Callable[[Job], Done]:
    def run_stage(job: Job) -> Done:
        tiles = list(plan_files.tiles(job.out).values())
        source = scenes_source.source(job.settings.scenes)
        share = {'worker': job.worker, 'workers': job.workers}
        ran = work(job.settings.scenes, tiles, job.out, source=source, **share)
        return Done(stage, _listed(ran.counts), ran.counts['failed'], ran.stopped)

    return run_stage


def _photos(job: Job) -> Done:
    rows = plan_files.photos(job.out, (*photos_fetch.COLUMNS, 'uuid'))
    found = photos_fetch.fetch(job.settings, rows, job.out, job.worker, job.workers)
    said = _listed(found.counts)
    if found.reasons:
        said += f' ({_listed(found.reasons)})'
    return Done('fetch-photos', said, found.counts['failed'], found.stopped)


def _pair(job: Job) -> Done:
    return Done('pair', _listed(pair.pair(job.settings, job.out, allow_failed=job.allow_failed)))


def _pack(job: Job) -> Done:
    made = pack.pack(
        job.settings, job.out, data_dir=job.data_dir, workers=job.processes, beam=job.beam
    )
    return Done('pack', str(made))


def _check(job: Job) -> Done:
    found = check.check(job.settings, job.out, job.data_dir)
    said = f'{_listed(found.counts)}; {found.card}'
    return Done('check', said, faults=tuple(found.faults), card=str(found.card))


def _listed(counts: Mapping[str, int]) -> str:
    """'3 kept, 1 gone', without zeros."""
    return ', '.join(f'{count} {name}' for name, count in counts.items() if count) or 'nothing'


_RUN: dict[str, Callable[[Job], Done]] = {
    'plan': _plan,
    'search': _scenes('search', scenes_select.search),
    'select': _scenes('select', scenes_select.select),
    'fetch-scenes': _scenes('fetch-scenes', scenes_fetch.fetch),
    'fetch-photos': _photos,
    'pair': _pair,
    'pack': _pack,
    'check': _check,
}
