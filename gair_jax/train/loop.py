"""The training loop: resume, step, measure, validate, save; stop well on a signal.

Order of starting, as in big_vision: a checkpoint in the workdir is resumed; else `init.*` names
checkpoints to start from; else parameters are drawn.
"""

import dataclasses
import functools
import math
import os
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config
from gair_jax.input.pipeline import Pipeline
from gair_jax.train import (
    forecast,
    loss_form,
    objective,
    optimizer,
    processes,
    run_checks,
    sharding,
    start,
)
from gair_jax.train.metrics_writer import MetricsWriter, ProgressBar
from gair_jax.train.saver import Saver
from gair_jax.train.state import Params, TrainState, parameter_count
from gair_jax.train.step import eval_step, init_state, train_step
from gair_jax.train.stopping import Agreement, noted_signals
from gair_jax.train.tally import Tally


class NonFiniteStepError(RuntimeError):
    """A step's loss or gradient was not finite; names the step and its records. Exit code 3."""


class StoppedError(RuntimeError):
    """A signal asked for the end; the state is saved. Exit code 75."""


class Result(NamedTuple):
    """What a run leaves: its last state, how far it got, and who tells of it."""

    state: TrainState
    steps: int
    leads: bool = True  # the process that speaks for the run


def train(
    config: Config,
    workdir: str | os.PathLike[str],
    *,
    given: Params | None = None,
    rows: Mapping[str, np.ndarray] | None = None,
    devices: Sequence[jax.Device] | None = None,
    say: Callable[[str], None] = print,
) -> Result:
    """Trains until the configured length, resuming where `workdir` holds a checkpoint.

    Args:
        config: the run; with other settings than the stored ones it is refused.
        workdir: folder that gets config.json, metrics.jsonl, checkpoints/ and best/.
        given: parameters to start from, by sub-tree, in place of those drawn or named by `init`.
        rows: indices of the records that are used of a split, by its name; all by default.
        devices: those to use; all of all processes by default.
        say: takes the sentences that a run says at its start.

    Raises:
        InputError: a setting, the data set or the stored checkpoint cannot be used.
        NonFiniteStepError: a step was not finite; what was saved before stays.
        StoppedError: SIGTERM or SIGINT came; the last step is saved.
    """
    workdir = pathlib.Path(workdir).absolute()
    run_checks.require_lengths(config)
    run_checks.require_same_run(config, workdir)
    run_checks.require_fast_layers(config, jax.default_backend())
    mesh = sharding.make_mesh(devices, config.mesh.fsdp)
    sharding.check_batch(mesh, config)
    say = say if jax.process_index() == 0 else _nothing
    shapes = forecast.state_shapes(config)
    say(forecast.require_room(config, mesh, shapes))
    run = _Run(config, workdir, mesh, say, shapes, given, rows or {})
    try:
        with jax.set_mesh(mesh), noted_signals() as stop:
            result = run.go(run.starting_state(), stop)
    except BaseException:
        # What made the run fail (a full disk) may make closing fail too, and would hide the cause.
        with suppress(Exception):
            run.close()
        raise
    run.close()
    return result


class _Run:
    """What one run holds open; `go` is the loop."""

    def __init__(
        self,
        config: Config,
        workdir: pathlib.Path,
        mesh: jax.sharding.Mesh,
        say: Callable[[str], None],
        shapes: TrainState,
        given: Params | None,
        rows: Mapping[str, np.ndarray],
    ) -> None:
        self.config, self.mesh, self.say, self.shapes = config, mesh, say, shapes
        self.given, self.rows = given, rows
        self.leads = jax.process_index() == 0
        self.data = self._pipeline(config.data.train_split, train=True)
        self.steps = optimizer.total_steps(config, self.data.examples)
        self.objective = objective.create(config)
        self.optimizer = optimizer.create(config, self.steps)
        self.rate = optimizer.schedule(config, self.steps)
        # A data set that does not fit the settings is refused before anything is written.
        self.data.examples_at([0])
        if self.leads:
            workdir.mkdir(parents=True, exist_ok=True)
            run_checks.write_config(config, workdir)
        self.saver = Saver(workdir, config, self.data.contracts, say)
        self.writer = None
        if self.leads:
            self.writer = MetricsWriter(
                workdir, after_step=self.saver.latest_step(), tensorboard=config.log.tensorboard
            )
        self.make = functools.partial(
            init_state, objective=self.objective, optimizer=self.optimizer
        )
        self.places = sharding.of_state(mesh, config.mesh, shapes)
        self.step = jax.jit(
            functools.partial(
                train_step, objective=self.objective, optimizer=self.optimizer, seed=config.seed,
                parts=config.accumulation,
            ),
            out_shardings=(self.places, sharding.replicated(mesh)),
            donate_argnums=0,
        )  # fmt: skip
        self.eval_step = jax.jit(
            functools.partial(eval_step, objective=self.objective, parts=config.accumulation),
            out_shardings=sharding.replicated(mesh),
        )
        self.validate: Callable[..., Any] | None = None

    def starting_state(self) -> TrainState:
        """Resumed, or drawn and then overwritten by what `config.init` names."""
        key = jax.random.key(self.config.seed)
        if remark := loss_form.remark(self.config, self.mesh.size):
            self.say(remark)
        if self.saver.latest_step() >= 0:
            abstract = jax.tree.map(
                lambda s, place: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=place),
                self.shapes,
                self.places,
            )
            self.say(f'Resuming after step {self.saver.latest_step()}.')
            return self.saver.restore(abstract)
        for remark in start.remarks(self.config):
            self.say(remark)
        state = jax.jit(self.make, out_shardings=self.places)(key)
        if self.given or any(dataclasses.asdict(self.config.init).values()):
            started = start.apply(self.config, state.params, self.given)
            params = jax.device_put(started, self.places.params)
            teacher = self.objective.init_teacher(params)
            state = dataclasses.replace(state, params=params, teacher=teacher)
        self.say(
            f'{parameter_count(state.params) / 1e6:.1f} M parameters, '
            f'{self.data.examples} examples, {self.steps} steps of {self.config.batch}.'
        )
        if (split := self.config.data.eval_split) not in self.data.splits:
            self.say(f'The data set has no split {split}: no validation.')
        return state

    def go(self, state: TrainState, stop: list[str]) -> Result:
        """Steps until the end. Metrics are read one step late, so that the device never waits."""
        begin = int(state.step)
        pending: _Pending | None = None
        waited, clock = 0.0, time.perf_counter()
        batches = self.data.iterate(begin, self.steps)
        agreement, take = Agreement(self.mesh), None
        with ProgressBar('train', self.steps, begin, shown=self.leads) as bar:
            for done in range(begin + 1, self.steps + 1):
                before = time.perf_counter()
                batch = next(batches)
                waited += time.perf_counter() - before
                placed = sharding.put_batch(self.mesh, batch)
                take = take or _compiled('step', self.step, state, placed)
                state, metrics = take(state, placed)
                if pending:
                    clock, waited = self._report(pending, bar, clock, waited)
                pending = _Pending(done, metrics, batch)
                stopping = agreement.reached(bool(stop))
                if self._pauses(done, stopping):
                    clock, waited = self._report(pending, bar, clock, waited)
                    pending = None
                    self._pause(done, state, stopping)
                if stopping and done < self.steps:
                    cause = stop[0] if stop else 'another process was told to stop'
                    raise StoppedError(f'{cause}: stopped after step {done}, which is saved.')
        return Result(state, self.steps, self.leads)

    def _pauses(self, done: int, stopping: bool) -> bool:
        """Whether the loop waits for the device after this step."""
        every = (self.config.checkpoint.every, self.config.eval.every)
        return stopping or done == self.steps or any(n and done % n == 0 for n in every)

    def _pause(self, done: int, state: TrainState, stopping: bool) -> None:
        """Validates and saves what is due after step `done`."""
        last = done == self.steps
        if self.config.eval.every and (last or done % self.config.eval.every == 0):
            self._validate(done, state)
        if last or stopping or done % self.config.checkpoint.every == 0:
            self.saver.save(state)

    def _report(
        self, pending: '_Pending', bar: ProgressBar, clock: float, waited: float
    ) -> tuple[float, float]:
        """Checks one step's metrics and writes them when due; returns the clock it was read at."""
        done = pending.step
        values = {k: float(v) for k, v in jax.device_get(pending.metrics).items()}
        if not values.pop('finite'):
            ids = ', '.join(self.data.ids(pending.batch))
            raise NonFiniteStepError(
                f'step {done}: the loss is {values["loss"]} and the gradient norm '
                f'{values["grad_norm"]}; the step was not taken. Its records: {ids}.'
            )
        if done % self.config.log.every and done not in (1, self.steps):
            return clock, waited
        now = time.perf_counter()
        steps = self.config.log.every if done % self.config.log.every == 0 else 1
        values['learning_rate'] = float(self.rate(done - 1))
        values['triples_per_second'] = steps * self.config.batch / max(now - clock, 1e-9)
        values['input_wait_share'] = min(1.0, waited / max(now - clock, 1e-9))
        self._write(done, values)
        rate = values['triples_per_second']
        bar.update(done, f'loss {values["loss"]:.3f}, {rate:.0f} triples/s')
        return now, 0.0

    def _validate(self, done: int, state: TrainState) -> None:
        """Writes the training loss on the validation split, and keeps the best parameters."""
        data = self._val_data
        if data is None:
            return
        tally = Tally()
        # The first batches of the split, read anew: kept, they would hold gigabytes at full size.
        for i in range(min(self.config.eval.batches, data.steps_per_epoch)):
            placed = sharding.put_batch(self.mesh, data.batch(i))
            if self.validate is None:
                self.validate = _compiled('validation', self.eval_step, state, placed)
            tally.add(jax.device_get(self.validate(state, placed)))
        means, choice = tally.means(), self.objective.choice
        self._write(done, {f'val_{name}': value for name, value in means.items()})
        if math.isfinite(means[choice]):
            self.saver.save_best(state, means[choice] if choice == 'loss' else -means[choice])

    @functools.cached_property
    def _val_data(self) -> Pipeline | None:
        """The validation split, or None where the data set has none."""
        if self.config.data.eval_split not in self.data.splits:
            return None
        return self._pipeline(self.config.data.eval_split, train=False)

    def _pipeline(self, split: str, *, train: bool) -> Pipeline:
        return Pipeline(
            self.config, split, train=train, rows=self.rows.get(split, ()),
            process_index=jax.process_index(), process_count=jax.process_count(),
        )  # fmt: skip

    def _write(self, done: int, values: dict[str, float]) -> None:
        if self.writer:
            self.writer.write(done, values)

    def close(self) -> None:
        """Closes what is being written."""
        if self.writer:
            self.writer.close()
        self.saver.close()


class _Pending(NamedTuple):
    """A step whose metrics have not been read yet."""

    step: int
    metrics: dict[str, Any]
    batch: dict[str, np.ndarray]


def _compiled(name: str, jitted: Any, *given: Any) -> Callable[..., Any]:
    """A program for these shapes alone, once all processes have it: no collective may wait long."""
    program = jitted.lower(*given).compile()
    processes.meet(f'the {name} is compiled')
    return program


def _nothing(text: str) -> None:
    """Says nothing: only the first process speaks."""
