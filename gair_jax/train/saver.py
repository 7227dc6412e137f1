"""Saves a run's states as it goes, and finds the newest whole one when it goes on."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from orbax.checkpoint import v1 as ocp

from gair_jax.config import Config, InputError
from gair_jax.train import processes
from gair_jax.train.checkpoint import no_room, record, steps_in, stored_record
from gair_jax.train.checkpoint_bytes import cause, require_readable
from gair_jax.train.state import TrainState

_policies = ocp.training.preservation_policies


class Saver:
    """Saves a run's states under its workdir, keeping the newest few and the best one.

    Files are written in the background: a call returns when the state has left the device. What
    goes wrong there is raised by the next call.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        config: Config,
        contracts: dict[str, Any],
        say: Callable[[str], None] = print,
    ) -> None:
        """Opens what is there; damaged checkpoints are put aside, and `say` hears of it."""
        self.record = record(config, contracts)
        if jax.process_index() == 0:
            _put_damaged_aside(workdir, say)
        processes.meet('damaged checkpoints are put aside')
        keep = [_policies.LatestN(config.checkpoint.keep)]
        if config.checkpoint.keep_every:
            keep.append(_policies.EveryNSteps(config.checkpoint.keep_every))
        self._latest = _checkpointer(workdir / 'checkpoints', keep)
        self._best = _checkpointer(workdir / 'best', [_policies.LatestN(1)])
        steps = steps_in(workdir / 'best')
        self.best_loss = stored_record(steps[-1])['lowest'] if steps else float('inf')
        self._writing: dict[Any, tuple[int, Any]] = {}  # by checkpointer: step and its response

    def save(self, state: TrainState) -> None:
        """Writes the whole state as `checkpoints/STEP`; nothing if that step is there already."""
        step = int(state.step)
        if self.latest_step() != step:
            self._write(self._latest, step, _items(state), {})

    def save_best(self, state: TrainState, loss: float) -> bool:
        """Writes the parameters as `best/STEP` if no earlier one had a lower validation loss.

        Where a score chooses, `loss` is that score's negative.
        """
        if loss >= self.best_loss:
            return False
        self.best_loss = loss
        self._write(self._best, int(state.step), {'params': state.params}, {'lowest': loss})
        return True

    def latest_step(self) -> int:
        """The newest whole checkpoint's step, or -1."""
        return self._latest.latest.step if self._latest.latest else -1

    def restore(self, abstract: TrainState) -> TrainState:
        """The newest state, onto the shapes and shardings of `abstract`."""
        items = self._latest.load_checkpointables(None, _items(abstract))
        whole = _fill_empty({'params': abstract.params, 'rest': _rest(abstract)}, items)
        return TrainState(params=whole['params'], **whole['rest'])

    def wait(self) -> None:
        """Waits for what is being written; InputError where that failed for want of room."""
        for to in (self._latest, self._best):
            self._wait_for(to)

    def close(self) -> None:
        """Waits for what is being written, and closes."""
        self.wait()
        self._latest.close()
        self._best.close()

    def _write(self, to: Any, step: int, items: dict[str, Any], more: dict[str, Any]) -> None:
        self._wait_for(to)
        with self._explained(to, step):
            # The loop decides when to save; without force Orbax's own policy may decline.
            response = to.save_checkpointables_async(
                step, items, force=True, custom_metadata={**self.record, **more}
            )
        self._writing[to] = step, response

    def _wait_for(self, to: Any) -> None:
        if to in self._writing:
            step, response = self._writing.pop(to)
            with self._explained(to, step):
                response.result()

    @contextmanager
    def _explained(self, to: Any, step: int) -> Iterator[None]:
        """Turns a lack of room into one sentence."""
        try:
            yield
        except Exception as error:  # whatever Orbax and TensorStore raise when a write fails
            if not no_room(error):
                raise
            raise InputError(
                f'{to.directory}: checkpoint of step {step} could not be written ({cause(error)});'
                f' the newest one kept is that of step {self.latest_step()}.'
            ) from error


def _put_damaged_aside(workdir: pathlib.Path, say: Callable[[str], None]) -> None:
    """Moves the newest checkpoints to `damaged/` until one is whole."""
    for folder in reversed(steps_in(workdir / 'checkpoints')):
        try:
            # Bytes first: Orbax logs at length where some are missing.
            for item in ('params', 'rest'):
                require_readable(folder / item, absent_is_fine=False)
            stored_record(folder)
            return
        except InputError as error:
            aside = workdir / 'damaged' / folder.name
            aside.parent.mkdir(exist_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            say(f'{error} It is put aside as {aside}; the checkpoint before it is taken.')


def _checkpointer(folder: pathlib.Path, keep: list[Any]) -> Any:
    logging.set_verbosity(logging.WARNING)
    context = ocp.Context()
    # Both folders may be writing the same step, and processes wait for each other by name.
    context.multiprocessing.barrier_sync_key_prefix = folder.name
    return ocp.training.Checkpointer(
        folder.absolute(),
        preservation_policy=_policies.AnyPreservationPolicy(keep),
        cleanup_tmp_directories=True,
        context=context,
    )


def _rest(state: TrainState) -> dict[str, Any]:
    return {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name != 'params'}


def _items(state: TrainState) -> dict[str, Any]:
    """What is written: no arrays without elements (a bank of size 0), which Orbax refuses."""
    items = {'params': state.params, 'rest': _rest(state)}
    return jax.tree.map(lambda leaf: leaf if leaf.size else None, items)


def _fill_empty(abstract: Any, items: Any) -> Any:
    """`items` with the arrays that `_items` left out put back."""
    leaves = iter(jax.tree.leaves(items))
    return jax.tree.map(lambda s: next(leaves) if s.size else jnp.zeros(s.shape, s.dtype), abstract)
