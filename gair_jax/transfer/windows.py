"""Windows of acquisitions, pixels and labels, for tasks that need other dates than the first."""

import numpy as np

from gair_jax.config import Config
from gair_jax.input import records, transforms
from gair_jax.input.examples import WindowInfo
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.store import Store
from gair_jax.sensors import contract
from gair_jax.transfer.features import Drawn


def find(pipeline: Pipeline, drawn: Drawn) -> list[WindowInfo]:
    """The test window of each photo."""
    return [pipeline.window_info(int(index)) for index in drawn.indices]


def image(store: Store, config: Config, window: WindowInfo, row: int) -> np.ndarray:
    """Network input float32 [S, S, C] of a window of an acquisition."""
    settings = config.input.rs
    sensor = contract(settings.sensor)
    example = store.tiles.example(row)
    with store.tiles.blame(row):
        bands = records.packed_bands(example).window(window.row, window.col, *window.size)
    chosen = bands[..., sensor.select(records.band_names(example))]
    return transforms.rs_input(chosen, sensor, settings.size, settings.kernel)


def mask(store: Store, label: str, window: WindowInfo, row: int) -> np.ndarray:
    """The label raster uint8 [h, w] under a window of an acquisition."""
    example = store.tiles.example(row)
    with store.tiles.blame(row):
        raster = records.packed_label(example, label)
        return raster.window(window.row, window.col, *window.size)
