"""Chunks made by Apache Beam: by Dataflow, Flink or Spark, or by processes of this machine.

Chunks' numbers go in and nothing comes out: workers leave chunks in the staging folder. It must lie
on a file system that all of them see under one path, as must what the chunks are made of, and they
need this package. Traps, found with apache-beam 2.77:

- Threads of the direct runner lost records of a pipeline that wrote a TFDS data set, without a
  word: they are refused, and `staging.run` counts the chunks.
- DirectRunner first fetches and starts the program `prism`, which takes no notice of the running
  mode; only where it cannot does it use its own FnApiRunner, which is used here at once.
- That one waits for ever for a worker process that was killed.
- Options that no runner has are dropped; only a remote runner may know more of them.
"""

import contextlib
import functools
import importlib.util
import io
import os
import pathlib
import shlex
import shutil
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from gair_jax.config import InputError

_LOCAL = ('direct', 'switchingdirect', 'fnapi')


def check(text: str) -> None:
    """Looks at options of Beam without running anything.

    Args:
      text: options as '--name=value --flag', quoted as in a shell.

    Raises:
      InputError: Beam is not installed, or an option cannot be.
    """
    _pipeline(text)


def run(folder: pathlib.Path, stage: Callable[[int], None], todo: list[int], text: str) -> None:
    """Makes chunks by a Beam pipeline, and waits for it, in the main thread.

    Args:
      folder: absolute, where they are staged.
      stage: picklable; makes one of them and leaves it in `folder`.
      todo: which.
      text: options as for `check`.

    Raises:
      InputError: an option cannot be, or `stage` said so: the first such sentence, when all other
        chunks are made, since a runner would only try that chunk again. Or a worker was killed.
    """
    pipeline = _pipeline(text)
    import apache_beam as beam

    # Of this call alone: a worker may outlive a killed build and refuse what the next one makes.
    refusals = folder / f'refusals-{uuid.uuid4().hex}'
    try:
        refusals.mkdir()
    except OSError as error:
        raise InputError(f'{refusals}: cannot be written: {error.strerror}') from error
    # Without the reshuffle a runner may keep all chunks on the worker that lists them.
    numbers = pipeline | 'Chunks' >> beam.Create(todo) | 'Spread' >> beam.Reshuffle()
    _ = numbers | 'Make' >> beam.Map(functools.partial(_try, refusals, stage))
    try:
        with _watched(folder):
            pipeline.run().wait_until_finish()
        for sentence in sorted(refusals.glob('*.txt')):
            raise InputError(sentence.read_text())
    finally:
        shutil.rmtree(refusals, ignore_errors=True)


def _try(refusals: pathlib.Path, stage: Callable[[int], None], index: int) -> None:
    """Makes a chunk, or leaves the sentence that says why not: each runner words errors anew."""
    try:
        stage(index)
    except InputError as error:
        part = refusals / f'{uuid.uuid4().hex}.part'
        part.write_text(str(error))
        os.replace(part, refusals / f'{index:06d}.txt')


@contextlib.contextmanager
def _watched(folder: pathlib.Path) -> Iterator[None]:
    """Ends the direct runner's wait for a worker process that was killed: it would never end."""
    killed, waiting = threading.Event(), threading.get_ident()

    def note(fault: threading.ExceptHookArgs) -> None:
        if 'Worker subprocess exited' in str(fault.exc_value):
            killed.set()
            # Not _thread.interrupt_main, which does not wake a thread that waits for a lock.
            signal.pthread_kill(waiting, signal.SIGINT)
        else:
            before(fault)

    before, threading.excepthook = threading.excepthook, note
    try:
        yield
    except KeyboardInterrupt as error:
        if not killed.is_set():
            raise
        raise InputError(
            f'{folder}: a worker process was killed (memory?); the same command goes on from where '
            'it stopped'
        ) from error
    finally:
        threading.excepthook = before


def _pipeline(text: str) -> Any:
    """An empty pipeline with these options."""
    if importlib.util.find_spec('apache_beam') is None:
        raise InputError("--beam needs apache_beam: pip install 'gair_jax[beam]'.")
    import apache_beam as beam
    from apache_beam.options.pipeline_options import StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    options = _options(text)
    runner = options.view_as(StandardOptions).runner or StandardOptions.DEFAULT_RUNNER
    local = runner.rpartition('.')[2].lower().removesuffix('runner') in _LOCAL
    if local:
        _check_local(options)
    try:
        return beam.Pipeline(runner=FnApiRunner() if local else None, options=options)
    except (AttributeError, ImportError, ValueError) as error:
        # Its own sentences: no such runner, a package or an option that a runner needs.
        raise InputError(f'--beam: {" ".join(str(error).split()).rstrip(".")}.') from error


def _options(text: str) -> Any:
    """PipelineOptions, of which each is named and has a value of its kind."""
    from apache_beam.options.pipeline_options import PipelineOptions

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f'--beam: {error} in {text!r}.') from error
    if other := [word for word in words if not word.startswith('--')]:
        raise InputError(f'--beam: expected options as --name=value, found {other[0]!r}.')
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(words)
            options.get_all_options(retain_unknown_options=True)  # parses those of all runners
    except SystemExit as error:  # argparse: its usage, then 'gair: error: ' and what is wrong
        reason = said.getvalue().rpartition(' error: ')[2].strip()
        raise InputError(f'--beam: {reason}.') from error
    return options


def _check_local(options: Any) -> None:
    """Refuses what the direct runner would not do, or not well."""
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

    known = PipelineOptions([]).get_all_options()
    given = options.get_all_options(retain_unknown_options=True)
    if unknown := sorted(given.keys() - known.keys()):
        raise InputError(f'--beam: there is no option --{unknown[0]}.')
    if options.view_as(DirectOptions).direct_running_mode == 'multi_threading':
        raise InputError(
            '--beam: direct_running_mode=multi_threading loses records: expected in_memory or '
            'multi_processing.'
        )
