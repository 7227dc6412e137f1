"""One record of a split -> one example: which date, which window, where in it, which pixels."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gair_jax.config import Config, InputError
from gair_jax.geo import sphere, tiles, windows
from gair_jax.input import records, sampling, transforms
from gair_jax.input.records import Example, Photo
from gair_jax.input.store import Store
from gair_jax.sensors import SensorContract, band_indices, contract

Arrays = dict[str, Any]


class WindowInfo(NamedTuple):
    """The part of a tile that the encoder sees.

    row, col: of its first pixel in the tile.
    size: rows and columns, in pixels of the tile.
    tile_row: index of the acquisition in `Store.tiles`.
    tile_xy: the photo's position in the whole tile, float64 [2], x east, y south, in [-1, 1].
    tile_shape: rows and columns of the tile.
    """

    row: int
    col: int
    size: tuple[int, int]
    tile_row: int
    tile_xy: Float[np.ndarray, '2']
    tile_shape: tuple[int, int]

    @property
    def xy(self) -> Float[np.ndarray, '2']:
        """The photo's position in the window, float64, in [-1, 1]."""
        return self.place(self.tile_xy)

    def place(self, tile_xy: Float[np.ndarray, '2']) -> Float[np.ndarray, '2']:
        """Where a position of the tile lies in the window; outside [-1, 1] if not in it."""
        return windows.window_xy(tile_xy, self.tile_shape, self.row, self.col, self.size)


class Examples:
    """The examples of a split. Picklable; opens files when first read."""

    def __init__(self, config: Config, store: Store, split: str) -> None:
        """The settings are assumed to be checked (`pipeline.check`)."""
        self._config, self._input, self._tiles = config, config.input, store.tiles
        self.photos = store.photos(split)
        rs = contract(config.input.rs.sensor)
        self.contracts: dict[str, SensorContract] = {
            'rs': rs,
            'sv': contract('street_view_rgb'),
        }
        jittered = config.input.rs.jitter_bands if config.input.rs.jitter else ()
        self._jittered = band_indices(rs.bands, jittered)

    def training(self, index: int, position: int) -> Arrays:
        """The example of record `index` at a position of the run, which settles what is drawn."""
        return self._make(
            index, sampling.generator(self._config.seed, sampling.TRAIN, position), True
        )

    def fixed(self, index: int) -> Arrays:
        """The example of record `index` as evaluation sees it: the same at every call.

        No flip, no jitter, no noise, the first date; the window is placed as in training.
        """
        return self._make(index, self._fixed_draws(index), False)

    def window_info(self, index: int) -> WindowInfo:
        """The window of `fixed(index)`; InputError if the record has no tile."""
        photo = self.photos[index]
        if not photo.acquisitions:
            raise InputError(f'photo {photo.id}: expected a record with a tile, found none.')
        return self._cut(photo, self._fixed_draws(index), False)[0]

    def _fixed_draws(self, index: int) -> np.random.Generator:
        return sampling.generator(self._config.seed, sampling.FIXED, index)

    def _make(self, index: int, rng: np.random.Generator, train: bool) -> Arrays:
        photo = self.photos[index]
        augment = train and self._input.augment
        out: Arrays = {
            'index': np.int32(index),
            'tile': np.int32(photo.tile),
            'xy': np.zeros(2, np.float32),
            'lonlat': photo.lonlat,
            'has_rs': np.bool_(False),
            'has_sv': np.bool_(False),
        }
        window = None
        if self._config.model.rs.enabled:
            window = self._add_rs(out, photo, rng, train, augment)
        if self._config.model.sv.enabled:
            self._add_sv(out, photo, index, rng, augment)
        if train and self._input.noise.kappa:
            self._add_noise(out, window, rng)
        if out.pop('flipped', False):
            out['xy'] = transforms.flip_xy(out['xy'])
        for name in ('xy', 'lonlat'):
            out[name] = out[name].astype(np.float32)
        return out

    def _add_rs(
        self, out: Arrays, photo: Photo, rng: np.random.Generator, train: bool, augment: bool
    ) -> WindowInfo | None:
        """Adds rs, xy and has_rs; `flipped` says that xy has yet to follow the pixels."""
        rs, sensor = self._input.rs, self.contracts['rs']
        if not photo.acquisitions:
            out['rs'] = np.zeros((rs.size, rs.size, len(sensor.bands)), np.float32)
            return None
        window, bands = self._cut(photo, rng, train)
        out['has_rs'], out['xy'] = np.bool_(True), window.xy
        if augment:
            out['flipped'] = rng.random() < rs.flip
            if rng.random() < rs.jitter:
                bands = transforms.jitter_bands(
                    bands,
                    self._jittered,
                    sensor.missing(bands),
                    rs.jitter_brightness,
                    rs.jitter_contrast,
                    rng,
                )
            if out['flipped']:
                bands = transforms.flip(bands)
        out['rs'] = transforms.rs_input(bands, sensor, rs.size, rs.kernel)
        return window

    def _cut(
        self, photo: Photo, rng: np.random.Generator, train: bool
    ) -> tuple[WindowInfo, Shaped[np.ndarray, 'h w c']]:
        """A window of one date of the photo's tile, and the contract's bands in stored units."""
        first = not (train and self._input.augment and self._input.date == 'random')
        row = photo.acquisitions[0 if first else rng.integers(len(photo.acquisitions))]
        example = self._tiles.example(row)
        window = self._place(photo, row, example, rng)
        with self._tiles.blame(row):
            bands = records.packed_bands(example).window(window.row, window.col, *window.size)
        try:
            order = self.contracts['rs'].select(records.band_names(example))
        except InputError as error:
            raise InputError(f'tile {photo.tile}: {error}') from error
        same = np.array_equal(order, np.arange(bands.shape[-1]))
        return window, bands if same else bands[..., order]

    def _place(
        self, photo: Photo, row: int, example: Example, rng: np.random.Generator
    ) -> WindowInfo:
        bounds, crs = records.bits_float(example['bounds']), example['crs'].decode()
        tile_xy = tiles.place_in_tile(photo.lonlat, bounds, crs, f'photo {photo.id}')
        shape = (int(example['shape'][0]), int(example['shape'][1]))
        rs = self._input.rs
        if rs.placement == 'whole':
            return WindowInfo(0, 0, shape, row, tile_xy, shape)
        if min(shape) < rs.window:
            raise InputError(
                f'tile {photo.tile} ({example["id"].decode()}): expected at least '
                f'input.rs.window = {rs.window} pixels a side, found {shape[0]} x {shape[1]}.'
            )
        placement = rs.placement if self._input.augment else 'centre'
        at = windows.place_window(tile_xy, shape, rs.window, placement, rng)
        return WindowInfo(*at, (rs.window, rs.window), row, tile_xy, shape)

    def _add_sv(
        self, out: Arrays, photo: Photo, index: int, rng: np.random.Generator, augment: bool
    ) -> None:
        sv = self._input.sv
        if not photo.photo:
            out['sv'] = np.zeros((sv.size, sv.size, 3), np.float32)
            return
        with self.photos.blame(index):
            pixels = transforms.decode_photo(photo.photo)
        if augment:
            if rng.random() < sv.flip:
                pixels = transforms.flip(pixels)
            if rng.random() < sv.jitter:
                pixels = transforms.jitter_colours(
                    pixels,
                    sv.jitter_brightness,
                    sv.jitter_contrast,
                    sv.jitter_saturation,
                    sv.jitter_hue,
                    rng,
                )
        out['has_sv'] = np.bool_(True)
        out['sv'] = transforms.sv_input(pixels, self.contracts['sv'], sv.size, sv.kernel)

    def _add_noise(self, out: Arrays, window: WindowInfo | None, rng: np.random.Generator) -> None:
        """Moves lonlat; with target `both` also xy, which is drawn anew where it left the window."""
        noise = self._input.noise
        out['lonlat'] = sphere.vmf_noise(out['lonlat'], noise.kappa, rng)
        if noise.target == 'location' or window is None:
            return
        example = self._tiles.example(window.tile_row)
        bounds, crs = records.bits_float(example['bounds']), example['crs'].decode()
        xy = window.place(tiles.lonlat_to_tile_xy(out['lonlat'], bounds, crs))
        inside = (np.abs(xy) <= 1).all()
        out['xy'] = xy if inside else rng.uniform(-1, 1, 2)
