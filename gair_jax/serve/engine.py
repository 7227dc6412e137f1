"""A checkpoint made ready: its model, its parameters on the device, its windows over rasters."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from gair_jax.config import InputError
from gair_jax.input import raster_files, transforms
from gair_jax.input.raster_files import Raster, RasterArray, RasterFile
from gair_jax.models import flops, gair
from gair_jax.models.transformer import together
from gair_jax.sensors import SensorContract
from gair_jax.serve.program import Program, placed
from gair_jax.serve.weights import Weights
from gair_jax.serve.windows import OVERLAP, Shape, WindowGrid, window_grid

Tile = str | os.PathLike[str] | np.ndarray | RasterFile | RasterArray
SPACES = ('common', 'encoder')


class Engine:
    """What every call on a checkpoint needs.

    Attributes:
      config: of the run that made the weights.
      contracts: the sensor contracts, 'rs' and 'sv'.
      origin: where the weights come from (`serve.weights.Origin`).
      model: the pure functions; `params` are their parameters.
    """

    def __init__(self, weights: Weights) -> None:
        self.config, self.contracts = weights.config, weights.contracts
        self.origin = weights.origin
        self.model = gair.build(weights.config)
        self._params = placed(weights.params, weights.config)
        self._programs: dict[str, Program] = {}

    @property
    def params(self) -> gair.Params:
        """The parameters, in the model's own form: a copy, made at each call."""
        return jax.tree.map(lambda x: x.astype(np.float32), together(self._params))

    def width(self, side: str, space: str) -> int:
        """Length of a side's embeddings; 'localized' is the remote sensing side at a point."""
        model = self.config.model
        own = {'rs': self.model.rs, 'sv': self.model.sv, 'localized': self.model.rs}.get(side)
        projected = {'localized': 'rs'}.get(side, side) in self.model.projections
        if own is None or (space == 'common' and projected):
            return model.embed_dim
        if side == 'localized' and model.nili.kind == 'nili':
            return model.embed_dim
        return own.spec.layers.dim

    def grid(self, shape: Shape, overlap: float = OVERLAP, window: int = 0) -> WindowGrid:
        """The windows over a raster of `shape` that the remote sensing encoder sees.

        `window` is their side in pixels of the raster; 0 is that of training, or the whole raster
        where the model was trained on whole tiles.
        """
        rs = self.config.input.rs
        if not window and rs.placement == 'whole':
            return window_grid(shape, shape, overlap)
        side = window or rs.window
        return window_grid(shape, (side, side), overlap)

    @contextlib.contextmanager
    def raster(
        self,
        tile: Tile,
        bounds: Sequence[float] = (),
        crs: str = '',
        offset: float | None = None,
        band_order: str = '',
    ) -> Iterator[Raster]:
        """A tile opened for reading windows; `offset` replaces that of the sensor contract.

        `band_order` is that of `raster_files.open_raster`.
        """
        sensor = self.contracts['rs']
        if offset is not None:
            sensor = dataclasses.replace(sensor, offset=offset)
        if isinstance(tile, (RasterFile, RasterArray)):
            yield tile
        elif isinstance(tile, np.ndarray):
            place = raster_files.georeference(bounds, crs, tile.shape[:2]) if len(bounds) else None
            yield RasterArray(tile, sensor, place)
        else:
            with contextlib.ExitStack() as stack:
                opening = raster_files.open_raster(
                    tile, sensor, band_order=band_order, box=bounds, crs=crs
                )
                try:
                    raster = stack.enter_context(opening)
                except InputError as error:
                    raise InputError(_named(tile, str(error))) from error
                yield raster

    def rs_input(self, bands: np.ndarray, sensor: SensorContract) -> Float[np.ndarray, 's s c']:
        """Network input of a window, from its bands in stored units."""
        rs = self.config.input.rs
        return transforms.rs_input(bands, sensor, rs.size, rs.kernel)

    def program(self, name: str, function: Callable[..., Any], side: str = '') -> Program:
        """`function(params, *batch)` on the parameters, compiled once and kept under `name`.

        `side` is that whose encoder it runs, 'rs' or 'sv', if one.
        """
        if name not in self._programs:
            encoder = {'rs': self.model.rs, 'sv': self.model.sv}.get(side)
            cost = flops.vit(encoder.spec) if encoder is not None else 0
            self._programs[name] = Program(function, self._params, cost)
        return self._programs[name]

    def project(self, params: gair.Params, side: str, x: Array, space: str) -> Array:
        """An encoder's output in the given space."""
        return self.model.project(params, side, x) if space == 'common' else x

    def require(self, side: str, space: str) -> None:
        """InputError unless the model has the encoder of `side`, and `space` is one."""
        if space not in SPACES:
            raise InputError(f'space: expected {" or ".join(SPACES)}, found {space!r}.')
        if side not in self._params:
            raise InputError(
                f'{self.origin.path}: expected a model with an encoder {side!r}, found '
                f'{", ".join(sorted(self._params))}.'
            )


def _named(tile: str | os.PathLike[str], message: str) -> str:
    """The message, with the file in it."""
    name = os.fspath(tile)
    return message if name in message else f'{name}: {message}'
