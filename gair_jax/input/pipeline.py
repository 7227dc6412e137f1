"""From a prepared data set to batches: a pure function of (seed, step).

Row r of the global batch of step t stands at position t x batch + r of the run. The position alone
settles which record it is and what is drawn for it, so the global batch is the same, row by row,
for any number of hosts and threads, and a resumed run needs nothing but its step. Process p of P
reads the p-th contiguous part of the rows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import ml_dtypes
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.geo.place_encodings import encoding
from gair_jax.input import benchmark_inputs, sample_files, sampling
from gair_jax.input.examples import Arrays, Examples
from gair_jax.input.resize import KERNELS
from gair_jax.input.store import Store
from gair_jax.input.tile_windows import WindowInfo
from gair_jax.sensors import PHOTO_SENSORS, SensorContract, band_indices, contract

Batch = dict[str, np.ndarray]

PLACEMENTS = ('random', 'centre', 'anywhere', 'whole')
DATES = ('random', 'first')
NOISE_TARGETS = ('location', 'both')
# Rows that a thread makes before it hands them over: fewer would spend more on handing over than on
# making them, more would delay the first batch.
_CHUNK = 16


class Pipeline:
    """Batches of one split of the data set that `config.data` names.

    A batch is a dict of NumPy arrays, b rows of this process:
      rs       f32 [b, size, size, bands], network input of the window, zeros where there is none;
               [b, dates, ...] where `input.rs.dates` is above 1
      sv       f32 [b, size, size, 3], network input of the photo; zeros where there is none
      xy       f32 [b, 2], the photo in the window, [-1, 1], x east, y south; zeros without a tile
      lonlat   f32 [b, 2], degrees, with noise if `input.noise` says so
      place    f32 [b, f], the same places before they were rounded, encoded, if
               `model.location.encoder` is one that the host encodes for (`geo.place_encodings`)
      has_rs   bool [b], has_sv bool [b]
      tile     i32 [b], id of the tile, -1 for none
      index    i32 [b], row of the record in the split
      valid    bool [b], false in rows that only fill up the last batch; if `train` is off
      label    if `loss.objective` is label: i32 [b], classes, -1 for unknown; f32 [b, k], nan for
               unknown; or u8 [b, window, window], masks, 255 for unknown
    Without `model.rs.enabled` (or sv) there is no rs (sv), and nothing of it is read. Pixels are
    bfloat16 where the encoders would round them to that first: half the bytes to the device.
    """

    def __init__(
        self,
        config: Config,
        split: str,
        *,
        train: bool = True,
        rows: Sequence[int] | np.ndarray = (),
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        """Opens the split.

        Args:
          config: of the run.
          split: of the data set.
          train: random order, date, flip, jitter and noise; off, each record once, in order, the
            first date, and the same window at every reading.
          rows: indices of the records that are used, in this order; () is all, or in training
            those of `data.sample`. A record that is there several times shows another window each
            time.
          process_index: which part of every batch is read, 0 .. process_count - 1.
          process_count: number of parts; must divide the batch.

        Raises:
          InputError: a setting or the data set cannot be used.
        """
        check(config)
        if config.batch % process_count:
            raise InputError(
                f'batch: expected a multiple of {process_count} processes, found {config.batch}.'
            )
        store = Store(config.data)
        self._examples = Examples(config, store, split)
        location = config.model.location
        self._encoding = (
            encoding(location.encoder, location.sizes, 'model.location')
            if location.enabled
            else None
        )
        if train and config.data.sample and not len(rows):
            rows = sample_files.read(config.data.sample, config.data, split)
        self.splits = store.splits
        self.metadata = store.metadata
        every = np.arange(len(self._examples.photos))
        self._rows_used = np.asarray(rows, np.int64) if len(rows) else every
        self._times = _times(self._rows_used) if len(rows) else np.zeros_like(every)
        self.examples = len(self._rows_used)
        self._seed, self._threads, self._batch = config.seed, config.data.threads, config.batch
        self._train, self._process = train, process_index
        self._rows = config.batch // process_count
        rounded = config.model.dtype == 'bfloat16' and config.loss.objective != 'mae'
        self._pixels: Any = ml_dtypes.bfloat16 if rounded else np.float32
        self._groups: Sequence[np.ndarray] = ()
        if train and config.data.balance == 'group':
            members = self._examples.photos.members().values()
            found = [group[np.isin(group, self._rows_used)] for group in members]
            self._groups = [group for group in found if len(group)]

    @property
    def contracts(self) -> dict[str, SensorContract]:
        """Sensor contracts of the inputs, 'rs' and 'sv'."""
        return self._examples.contracts

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the split: whole ones in training (at least 1), else all."""
        whole = max(1, self.examples // self._batch)
        return whole if self._train else math.ceil(self.examples / self._batch)

    def batch(self, step: int) -> Batch:
        """This process's part of the batch of a step, read by the calling thread."""
        return self._stacked([self._row(step, row) for row in range(self._rows)], self._pixels)

    def iterate(self, start: int, stop: int) -> Iterator[Batch]:
        """`batch(start)` .. `batch(stop - 1)`, read ahead by `data.threads` threads."""
        rows = math.gcd(self._rows, _CHUNK)
        chunks = self._rows // rows

        def make(chunk: int) -> Batch:
            step, part = divmod(chunk, chunks)
            made = [self._row(step, part * rows + row) for row in range(rows)]
            return self._stacked(made, self._pixels)

        options = grain.ReadOptions(
            num_threads=self._threads, prefetch_buffer_size=max(self._threads, 2 * chunks)
        )
        dataset = grain.MapDataset.range(start * chunks, stop * chunks).map(make)
        joined = dataset.to_iter_dataset(options).batch(chunks, batch_fn=_join)
        return iter(grain.experimental.ThreadPrefetchIterDataset(joined, prefetch_buffer_size=1))

    def examples_at(self, indices: Sequence[int]) -> Batch:
        """A batch of these records as evaluation sees them, whatever `train` says."""
        return self._stacked([self._examples.fixed(int(index)) for index in indices], np.float32)

    def tile_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the tile of this record."""
        return self._examples.tile_shape(index)

    def window_at(self, index: int, row: int, col: int) -> Batch:
        """`rs` (and `label`, a mask) of one window of this record's tile, as evaluation sees it."""
        return self._examples.window_at(index, (row, col))

    def window_info(self, index: int) -> WindowInfo:
        """The window that `examples_at` shows of this record; InputError if it has no tile."""
        return self._examples.window_info(index)

    def ids(self, batch: Batch) -> list[str]:
        """Ids of the records of a batch."""
        return [self._examples.photos[int(index)].id for index in batch['index']]

    def _stacked(self, rows: Sequence[Arrays], pixels: Any) -> Batch:
        """Rows as one array a name, with places encoded together."""
        made = stack_rows(rows, pixels)
        return made if self._encoding is None else made | {'place': self._encoding(made['place'])}

    def _row(self, step: int, row: int) -> Arrays:
        position = step * self._batch + self._process * self._rows + row
        if not self._train:
            at = position % self.examples
            example = self._examples.fixed(int(self._rows_used[at]), int(self._times[at]))
            return {**example, 'valid': np.bool_(position < self.examples)}
        if self._groups:
            index = sampling.balanced(self._seed, position, self._groups)
        else:
            at = sampling.shuffled(self._seed, position, self.examples)
            index = int(self._rows_used[at])
        return self._examples.training(index, position)


def _times(rows: np.ndarray) -> np.ndarray:
    """How often each row's record came before it."""
    order = np.argsort(rows, kind='stable')
    first = np.searchsorted(rows[order], rows[order])
    times = np.empty_like(rows)
    times[order] = np.arange(len(rows)) - first
    return times


def stack_rows(rows: Sequence[Arrays], pixels: Any) -> Batch:
    """Rows as one array a name, `rs` and `sv` of the type `pixels`."""
    types = {'rs': pixels, 'sv': pixels}
    return {
        name: np.stack([row[name] for row in rows], dtype=types.get(name), casting='same_kind')
        for name in rows[0]
    }


def _join(parts: Sequence[Batch]) -> Batch:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def check(config: Config) -> None:
    """Raises InputError for the first setting of `data` and `input` that cannot be used."""
    rs, sv, noise = config.input.rs, config.input.sv, config.input.noise
    _check_names(
        {
            'data.balance': (config.data.balance, sampling.BALANCES),
            'input.date': (config.input.date, DATES),
            'input.rs.placement': (rs.placement, PLACEMENTS),
            'input.rs.kernel': (rs.kernel, KERNELS),
            'input.rs.scaling': (rs.scaling, ('contract', *benchmark_inputs.SCALINGS)),
            'input.sv.kernel': (sv.kernel, KERNELS),
            'input.sv.sensor': (sv.sensor, PHOTO_SENSORS),
            'input.noise.target': (noise.target, NOISE_TARGETS),
        }
    )
    _check_ranges(
        {
            'seed': (config.seed, 0, 2**32 - 1),
            'batch': (config.batch, 1, math.inf),
            'data.threads': (config.data.threads, 1, math.inf),
            'input.rs.window': (rs.window, 1, math.inf),
            'input.rs.size': (rs.size, 1, math.inf),
            'input.rs.dates': (rs.dates, 1, math.inf),
            'input.sv.size': (sv.size, 1, math.inf),
            'input.noise.kappa': (noise.kappa, 0, math.inf),
            'input.rs.flip': (rs.flip, 0, 1),
            'input.rs.jitter': (rs.jitter, 0, 1),
            'input.rs.jitter_brightness': (rs.jitter_brightness, 0, 1),
            'input.rs.jitter_contrast': (rs.jitter_contrast, 0, 1),
            'input.sv.flip': (sv.flip, 0, 1),
            'input.sv.jitter': (sv.jitter, 0, 1),
            'input.sv.jitter_brightness': (sv.jitter_brightness, 0, 1),
            'input.sv.jitter_contrast': (sv.jitter_contrast, 0, 1),
            'input.sv.jitter_saturation': (sv.jitter_saturation, 0, 1),
            'input.sv.jitter_hue': (sv.jitter_hue, 0, 0.5),
        }
    )
    _check_masks_alone(config)
    _check_jitter(config)


def _check_names(settings: dict[str, tuple[str, Sequence[str]]]) -> None:
    for name, (found, known) in settings.items():
        if found not in known:
            raise InputError(f'{name}: expected {" or ".join(known)}, found {found!r}.')


def _check_ranges(settings: dict[str, tuple[float, float, float]]) -> None:
    for name, (found, low, high) in settings.items():
        if not low <= found <= high:
            text = f'at least {low}' if high == math.inf else f'{low} to {high}'
            raise InputError(f'{name}: expected {text}, found {found}.')


def _check_masks_alone(config: Config) -> None:
    """Windows that need not hold the photo, and several dates, are for masks: xy means nothing."""
    rs = config.input.rs
    if config.loss.objective == 'label' and config.head.target == 'mask':
        return
    if rs.placement == 'anywhere':
        raise InputError("input.rs.placement: 'anywhere' is for masks (head.target) alone.")
    if rs.dates > 1:
        raise InputError(f'input.rs.dates: expected 1 but for masks, found {rs.dates}.')


def _check_jitter(config: Config) -> None:
    rs = config.input.rs
    if rs.jitter and config.input.augment and (rs.scaling != 'contract' or rs.dates > 1):
        raise InputError(
            f"input.rs.jitter: expected 0 with several dates or the data's own statistics, found "
            f'{rs.jitter}.'
        )
    sensor = contract(rs.sensor)
    try:
        band_indices(sensor.bands, rs.jitter_bands if rs.jitter else ())
    except InputError as error:
        raise InputError(f'input.rs.jitter_bands: sensor {sensor.name}: {error}') from error
