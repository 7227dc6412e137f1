"""Windows of acquisitions, pixels and labels, for tasks that need other dates than the first."""

from collections.abc import Sequence

import numpy as np

from gair_jax.config import Config
from gair_jax.input import records, transforms
from gair_jax.input.pipeline import Pipeline, Window
from gair_jax.input.store import Store
from gair_jax.sensors import contract
from gair_jax.transfer.features import Drawn


def find(pipeline: Pipeline, drawn: Drawn) -> list[Window]:
    """The test window of each photo."""
    return [pipeline.window_info(int(index)) for index in drawn.indices]


def images(
    store: Store, config: Config, windows: Sequence[Window], rows: Sequence[int]
) -> np.ndarray:
    """Network inputs float32 [n, S, S, C] of window i of acquisition rows[i]."""
    return np.stack(
        [_image(store, config, window, row) for window, row in zip(windows, rows, strict=True)]
    )


def masks(
    store: Store, label: str, windows: Sequence[Window], rows: Sequence[int]
) -> list[np.ndarray]:
    """The label raster uint8 [h, w] under window i of acquisition rows[i]."""
    found = []
    for window, row in zip(windows, rows, strict=True):
        example = store.tiles.example(row)
        with store.tiles.blame(row):
            raster = records.packed_label(example, label)
            found.append(raster.window(window.row, window.col, *window.size))
    return found


def _image(store: Store, config: Config, window: Window, row: int) -> np.ndarray:
    settings = config.input.rs
    sensor = contract(settings.sensor)
    example = store.tiles.example(row)
    with store.tiles.blame(row):
        bands = records.packed_bands(example).window(window.row, window.col, *window.size)
    chosen = bands[..., sensor.select(records.band_names(example))]
    return transforms.rs_input(chosen, sensor, settings.size, settings.kernel)
