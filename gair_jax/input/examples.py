"""One record of a split -> one example: its window, its photo, and the position that joins them."""

from typing import Any

import numpy as np
from jaxtyping import Float

from gair_jax.config import Config, InputError
from gair_jax.geo import sphere, tiles
from gair_jax.geo.place_encodings import ON_DEVICE
from gair_jax.input import benchmark_inputs, sampling, transforms
from gair_jax.input.records import Photo, label_field
from gair_jax.input.store import Store
from gair_jax.input.tile_windows import TileWindows, View, WindowInfo
from gair_jax.sensors import SensorContract, band_indices, contract

Arrays = dict[str, Any]
IGNORED = 255  # of a mask: the truth is unknown

_FIELDS = (
    'id', 'photo', 'lonlat', 'heading', 'date', 'licence', 'group', 'tile', 'acquisitions',
)  # fmt: skip


class Examples:
    """The examples of a split, by index; pure functions of (seed, index or position)."""

    def __init__(self, config: Config, store: Store, split: str) -> None:
        """The settings are assumed to be checked (`pipeline.check`)."""
        self._config, self._input, self._head = config, config.input, config.head
        learns = config.loss.objective == 'label'
        self._masked = learns and config.head.target == 'mask'
        self._labelled = learns and not self._masked
        location = config.model.location
        self._encoded = location.enabled and location.encoder not in ON_DEVICE
        self.photos = store.photos(split)
        self._fields: tuple[str, ...] = _FIELDS
        if self._labelled:
            self._fields = (*_FIELDS, label_field(config.head.label, self.photos.fields))
        rs = contract(config.input.rs.sensor)
        sv = contract(config.input.sv.sensor)
        self.contracts: dict[str, SensorContract] = {'rs': rs, 'sv': sv}
        mask = config.head.label if self._masked else ''
        self._tiles = TileWindows(store.tiles, config.input.rs, rs, mask)
        self._stored = None
        if config.input.rs.scaling != 'contract':
            self._stored = benchmark_inputs.of_label(store.metadata, config.head.label)
        jittered = config.input.rs.jitter_bands if config.input.rs.jitter else ()
        self._jittered = band_indices(rs.bands, jittered)

    def training(self, index: int, position: int) -> Arrays:
        """The example of record `index` at a position of the run, which settles what is drawn."""
        rng = sampling.generator(self._config.seed, sampling.TRAIN, position)
        return self._make(index, rng, train=True)

    def fixed(self, index: int, time: int = 0) -> Arrays:
        """The example of record `index` as evaluation sees it: the same at every call.

        No flip, no jitter, no noise, the first date; the window is placed as in training. `time`
        counts the readings of one record in a split that shows it several times, each another
        window.
        """
        return self._make(index, self._fixed_draws(index, time), train=False)

    def tile_shape(self, index: int) -> tuple[int, int]:
        """Rows and columns of the record's tile."""
        return self._tiles.shape(self._photo(index))

    def window_at(self, index: int, at: tuple[int, int]) -> Arrays:
        """`rs`, and a mask as `label`, of the window that starts at this row and column."""
        rng = self._fixed_draws(index)
        view = self._tiles.cut(self._photo(index), rng, any_date=False, placement=at)
        return self._rs(view, view.window.xy, rng, augment=False)[0]

    def window_info(self, index: int) -> WindowInfo:
        """The window of `fixed(index)`; InputError if the record has no tile."""
        photo = self._photo(index)
        if not photo.acquisitions:
            raise InputError(f'photo {photo.id}: expected a record with a tile, found none.')
        return self._view(photo, self._fixed_draws(index), train=False).window

    def _fixed_draws(self, index: int, time: int = 0) -> np.random.Generator:
        return sampling.generator(self._config.seed, sampling.FIXED, index + (time << 40))

    def _photo(self, index: int) -> Photo:
        """The photo with no label but the one that is learnt."""
        return Photo.from_example(self.photos.example(index, self._fields))

    def _make(self, index: int, rng: np.random.Generator, *, train: bool) -> Arrays:
        photo, model = self._photo(index), self._config.model
        augment = train and self._input.augment
        view = None
        if model.rs.enabled and photo.acquisitions:
            view = self._view(photo, rng, train=train)
        lonlat, xy = self._position(photo, view, rng, train=train)
        pixels: Arrays = {}
        if model.rs.enabled:
            pixels, xy = self._rs(view, xy, rng, augment=augment)
        if model.sv.enabled:
            pixels['sv'] = self._sv(photo, index, rng, augment=augment)
        if self._labelled:
            pixels['label'] = self._label(photo)
        return {
            **pixels,
            'xy': xy.astype(np.float32),
            'lonlat': lonlat.astype(np.float32),
            **({'place': lonlat} if self._encoded else {}),
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

    def _label(self, photo: Photo) -> Any:
        """The label as the loss compares it: a class i32 [], -1 unknown, or values f32 [k]."""
        head, value = self._head, photo.labels[self._head.label]
        if head.target == 'class':
            found = np.int32(value.reshape(-1)[0])
            if found >= head.outputs:
                raise InputError(
                    f'photo {photo.id}: label {head.label}: expected a class 0 to '
                    f'{head.outputs - 1}, or -1 for unknown, found {found}.'
                )
            return found
        if value.size != head.outputs:
            raise InputError(
                f'photo {photo.id}: label {head.label}: expected {head.outputs} numbers, found '
                f'{value.size}.'
            )
        mean, std = (np.array(v, np.float32) for v in (head.mean or (0.0,), head.std or (1.0,)))
        return (value.reshape(-1).astype(np.float32) - mean) / std

    def _rs(
        self, view: View | None, xy: np.ndarray, rng: np.random.Generator, *, augment: bool
    ) -> tuple[Arrays, Float[np.ndarray, '2']]:
        """`rs`, network input of the window, its mask as `label`, and xy, which a flip moves."""
        rs = self._input.rs
        if view is None:
            return self._no_window(), xy
        bands, mask = view.bands, view.mask
        if augment and rng.random() < rs.flip:
            bands, xy = transforms.flip(bands), transforms.flip_xy(xy)
            mask = None if mask is None else mask[:, ::-1]
        shown = {'rs': self._network_input(bands, rng, augment=augment)}
        return shown if mask is None else {**shown, 'label': mask}, xy

    def _no_window(self) -> Arrays:
        rs = self._input.rs
        dates = (rs.dates,) if rs.dates > 1 else ()
        shape = (*dates, rs.size, rs.size, len(self.contracts['rs'].bands))
        shown = {'rs': np.zeros(shape, np.float32)}
        unknown = np.full((rs.window, rs.window), IGNORED, np.uint8)
        return {**shown, 'label': unknown} if self._masked else shown

    def _network_input(
        self, bands: np.ndarray, rng: np.random.Generator, *, augment: bool
    ) -> Float[np.ndarray, '*dates size size c']:
        if bands.ndim == 4:
            return np.stack([self._network_input(b, rng, augment=augment) for b in bands])
        rs, sensor = self._input.rs, self.contracts['rs']
        if self._stored is not None:
            return transforms.benchmark_input(
                bands, self._stored, sensor, rs.size, rs.kernel, rs.scaling
            )
        if augment and rng.random() < rs.jitter:
            bands = transforms.jitter_bands(
                bands,
                self._jittered,
                sensor.missing(bands),
                rs.jitter_brightness,
                rs.jitter_contrast,
                rng,
            )
        return transforms.rs_input(bands, sensor, rs.size, rs.kernel)

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
