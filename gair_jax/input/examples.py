"""One record of a split -> one example: its window, its photo, and the position that joins them."""

from typing import Any

import numpy as np
from jaxtyping import Float

from gair_jax.config import Config, InputError
from gair_jax.geo import sphere, tiles
from gair_jax.input import sampling, transforms
from gair_jax.input.records import Photo
from gair_jax.input.store import Store
from gair_jax.input.tile_windows import TileWindows, View, WindowInfo
from gair_jax.sensors import SensorContract, band_indices, contract

Arrays = dict[str, Any]

_FIELDS = (
    'id', 'photo', 'lonlat', 'heading', 'date', 'licence', 'group', 'tile', 'acquisitions',
)  # fmt: skip


class Examples:
    """The examples of a split, by index; pure functions of (seed, index or position)."""

    def __init__(self, config: Config, store: Store, split: str) -> None:
        """The settings are assumed to be checked (`pipeline.check`)."""
        self._config, self._input = config, config.input
        self.photos = store.photos(split)
        rs = contract(config.input.rs.sensor)
        sv = contract(config.input.sv.sensor)
        self.contracts: dict[str, SensorContract] = {'rs': rs, 'sv': sv}
        self._tiles = TileWindows(store.tiles, config.input.rs, rs)
        jittered = config.input.rs.jitter_bands if config.input.rs.jitter else ()
        self._jittered = band_indices(rs.bands, jittered)

    def training(self, index: int, position: int) -> Arrays:
        """The example of record `index` at a position of the run, which settles what is drawn."""
        rng = sampling.generator(self._config.seed, sampling.TRAIN, position)
        return self._make(index, rng, train=True)

    def fixed(self, index: int) -> Arrays:
        """The example of record `index` as evaluation sees it: the same at every call.

        No flip, no jitter, no noise, the first date; the window is placed as in training.
        """
        return self._make(index, self._fixed_draws(index), train=False)

    def window_info(self, index: int) -> WindowInfo:
        """The window of `fixed(index)`; InputError if the record has no tile."""
        photo = self._photo(index)
        if not photo.acquisitions:
            raise InputError(f'photo {photo.id}: expected a record with a tile, found none.')
        return self._view(photo, self._fixed_draws(index), train=False).window

    def _fixed_draws(self, index: int) -> np.random.Generator:
        return sampling.generator(self._config.seed, sampling.FIXED, index)

    def _photo(self, index: int) -> Photo:
        """The photo without its labels, which no example needs."""
        return Photo.from_example(self.photos.example(index, _FIELDS))

    def _make(self, index: int, rng: np.random.Generator, *, train: bool) -> Arrays:
        photo, model = self._photo(index), self._config.model
        augment = train and self._input.augment
        view = None
        if model.rs.enabled and photo.acquisitions:
            view = self._view(photo, rng, train=train)
        lonlat, xy = self._position(photo, view, rng, train=train)
        pixels = {}
        if model.rs.enabled:
            pixels['rs'], xy = self._rs(view, xy, rng, augment=augment)
        if model.sv.enabled:
            pixels['sv'] = self._sv(photo, index, rng, augment=augment)
        return {
            **pixels,
            'xy': xy.astype(np.float32),
            'lonlat': lonlat.astype(np.float32),
            'has_rs': np.bool_(view is not None),
            'has_sv': np.bool_(model.sv.enabled and photo.photo != b''),
            'tile': np.int32(photo.tile),
            'index': np.int32(index),
        }

    def _view(self, photo: Photo, rng: np.random.Generator, *, train: bool) -> View:
        placement = self._input.rs.placement
        if placement == 'random' and not self._input.augment:
            placement = 'centre'
        any_date = train and self._input.augment and self._input.date == 'random'
        return self._tiles.cut(photo, rng, any_date=any_date, placement=placement)

    def _position(
        self, photo: Photo, view: View | None, rng: np.random.Generator, *, train: bool
    ) -> tuple[Float[np.ndarray, '2'], Float[np.ndarray, '2']]:
        """Position of the photo: lonlat and xy, in training with noise; xy is zero without a tile.

        With noise on `both`, xy follows lonlat, and is drawn anew in a window that lonlat has left.
        """
        noise = self._input.noise
        xy = view.window.xy if view else np.zeros(2)
        if not train or not noise.kappa:
            return photo.lonlat, xy
        lonlat = sphere.vmf_noise(photo.lonlat, noise.kappa, rng)
        if view is None or noise.target == 'location':
            return lonlat, xy
        moved = view.window.place(tiles.lonlat_to_tile_xy(lonlat, view.bounds, view.crs))
        inside = (np.abs(moved) <= 1).all()
        return lonlat, moved if inside else rng.uniform(-1, 1, 2)

    def _rs(
        self, view: View | None, xy: np.ndarray, rng: np.random.Generator, *, augment: bool
    ) -> tuple[Float[np.ndarray, 'size size c'], Float[np.ndarray, '2']]:
        """Network input of the window, and xy, which a flip moves along."""
        rs, sensor = self._input.rs, self.contracts['rs']
        if view is None:
            return np.zeros((rs.size, rs.size, len(sensor.bands)), np.float32), xy
        bands = view.bands
        if augment and rng.random() < rs.flip:
            bands, xy = transforms.flip(bands), transforms.flip_xy(xy)
        if augment and rng.random() < rs.jitter:
            bands = transforms.jitter_bands(
                bands,
                self._jittered,
                sensor.missing(bands),
                rs.jitter_brightness,
                rs.jitter_contrast,
                rng,
            )
        return transforms.rs_input(bands, sensor, rs.size, rs.kernel), xy

    def _sv(
        self, photo: Photo, index: int, rng: np.random.Generator, *, augment: bool
    ) -> Float[np.ndarray, 'size size 3']:
        sv = self._input.sv
        if not photo.photo:
            return np.zeros((sv.size, sv.size, 3), np.float32)
        with self.photos.blame(index):
            pixels = transforms.decode_photo(photo.photo)
        if augment and rng.random() < sv.flip:
            pixels = transforms.flip(pixels)
        if augment and rng.random() < sv.jitter:
            pixels = transforms.jitter_colours(
                pixels,
                sv.jitter_brightness,
                sv.jitter_contrast,
                sv.jitter_saturation,
                sv.jitter_hue,
                rng,
            )
        return transforms.sv_input(pixels, self.contracts['sv'], sv.size, sv.kernel)
