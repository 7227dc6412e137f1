"""Sensor contracts: which bands a network takes, in which order, and how they become its input.

A contract travels with a checkpoint, so that whoever serves it prepares pixels as training did.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gair_jax.config import InputError

SCALINGS = ('two_sigma_uint8', 'image_two_sigma_uint8', 'z_score')


@dataclasses.dataclass(frozen=True, kw_only=True)
class SensorContract:
    """Bands by name and order with unit, offset, statistics and nodata.

    Attributes:
      name: key in `CONTRACTS`.
      bands: band names in network order.
      unit: of the stored values: 'DN' (Sentinel-2 reflectance x 10000) or 'uint8'.
      mean, std: per band, of stored value minus `offset`; () where each image has its own.
      offset: subtracted from stored values first; 1000 for unharmonised Sentinel-2 since 2022.
      scaling: 'two_sigma_uint8', u / 255 in [0, 1] with
        u = trunc(clip((v - (m - 2s)) / (4s) * 255, 0, 255)); 'image_two_sigma_uint8', the same with
        m and s of the image at hand, which must then be given whole; or 'z_score', (v - m) / s.
      nodata: the stored value that, in every band at once, means nothing was seen; nan: none does.
    """

    name: str
    bands: tuple[str, ...]
    unit: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    offset: float
    scaling: str
    nodata: float

    def __post_init__(self) -> None:
        """Refuses a contract that contradicts itself."""
        if self.scaling not in SCALINGS:
            raise InputError(
                f'sensor contract {self.name}: expected scaling {" or ".join(SCALINGS)}, found '
                f'{self.scaling!r}.'
            )
        if self.of_image and (self.mean or self.std):
            raise InputError(
                f'sensor contract {self.name}: scaling {self.scaling!r} expects no mean and std.'
            )
        count = 0 if self.of_image else len(self.bands)
        if not count == len(self.mean) == len(self.std):
            raise InputError(
                f'sensor contract {self.name}: expected one mean and std for each of its '
                f'{count} bands, found {len(self.mean)} and {len(self.std)}.'
            )

    @property
    def of_image(self) -> bool:
        """Whether the statistics are those of the image at hand."""
        return self.scaling == 'image_two_sigma_uint8'

    def select(self, available: Sequence[str]) -> Int[np.ndarray, ' c']:
        """Indices of this contract's bands among `available`; InputError names a missing one."""
        return band_indices(available, self.bands)

    def normalize(self, values: Shaped[np.ndarray, '*batch c']) -> Float[np.ndarray, '*batch c']:
        """Network input, float32, from stored values of this contract's bands, channels last.

        A nan becomes 0, the lowest input of a scaled band and the mean of a z-scored one. Where the
        statistics are those of the image, the last axes are its rows, columns and bands, and pixels
        without data are left out of them.
        """
        if values.shape[-1] != len(self.bands):
            raise InputError(
                f'sensor contract {self.name}: expected {len(self.bands)} bands, found '
                f'{values.shape[-1]}.'
            )
        if self.of_image and values.ndim < 3:
            raise InputError(
                f'sensor contract {self.name}: expected a whole image (rows, columns, bands), '
                f'found shape {values.shape}.'
            )
        v = values.astype(np.float32)
        v -= np.float32(self.offset)
        if self.of_image:
            return self._scaled(v, *self._image_statistics(values, v))
        # Whole rows of pixels: NumPy is many times slower on as few numbers as there are bands.
        pixels = v.shape[-2] if v.ndim > 1 else 1
        mean, std = (np.tile(np.array(x, np.float32), pixels) for x in (self.mean, self.std))
        rows = v.reshape(*v.shape[:-2], len(mean))
        return self._scaled(rows, mean, std).reshape(v.shape)

    def _scaled(
        self, v: Float[np.ndarray, '...'], mean: np.ndarray, std: np.ndarray
    ) -> Float[np.ndarray, '...']:
        """`normalize` of values without offset, in place, statistics being of their shape."""
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):  # std may be 0
            v -= mean if self.scaling == 'z_score' else mean - 2 * std
            v /= std if self.scaling == 'z_score' else 4 * std
            if self.scaling != 'z_score':
                v *= 255
                np.trunc(np.clip(v, 0, 255, out=v), out=v)
                v /= np.float32(255)
            finite = np.isfinite(v.sum())
        return v if finite else np.nan_to_num(v, copy=False, nan=0.0)

    def missing(self, values: Shaped[np.ndarray, '*batch c']) -> Bool[np.ndarray, '*batch']:
        """Pixels without data: nodata in every band (a zero in one band is data), or nan in any."""
        whole = not np.issubdtype(values.dtype, np.floating)
        if whole and (np.isnan(self.nodata) or self.nodata % 1):
            return np.zeros(values.shape[:-1], bool)
        # Of the same type: comparing whole numbers with a float would turn them all to floats.
        nothing = values[..., 0] == (int(self.nodata) if whole else self.nodata)
        if nothing.any():
            nothing = (values == (int(self.nodata) if whole else self.nodata)).all(axis=-1)
        return nothing if whole else nothing | np.isnan(values).any(axis=-1)

    def _image_statistics(
        self, values: Shaped[np.ndarray, '*batch y x c'], v: Float[np.ndarray, '*batch y x c']
    ) -> tuple[Float[np.ndarray, '*batch 1 1 c'], Float[np.ndarray, '*batch 1 1 c']]:
        """Mean and standard deviation (n - 1) of each band over the pixels that hold data."""
        seen = ~self.missing(values)[..., None]
        count = np.maximum(seen.sum(axis=(-3, -2), keepdims=True), 2)
        mean = np.where(seen, v, 0).sum(axis=(-3, -2), keepdims=True, dtype=np.float64) / count
        spread = np.where(seen, v - mean, 0)
        std = np.sqrt((spread**2).sum(axis=(-3, -2), keepdims=True) / (count - 1))
        return mean.astype(np.float32), std.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        values = dataclasses.asdict(self)
        values['nodata'] = None if np.isnan(self.nodata) else self.nodata
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> 'SensorContract':
        """The contract that `to_dict` gave; InputError names a field that is absent or unknown."""
        names = {field.name for field in dataclasses.fields(cls)}
        if odd := sorted(names ^ set(values)):
            raise InputError(f'sensor contract: field {odd[0]!r} is absent or unknown.')
        made: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        nodata = float('nan') if values['nodata'] is None else values['nodata']
        return cls(**{**made, 'nodata': nodata})


_L2A = ('B01', 'B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B09', 'B11', 'B12')

TEN_BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')

# Stored orders of Sentinel-2 rasters whose bands carry no names, by their number; the EuroSAT
# originals have 13 bands too, with B8A moved to the end.
BAND_ORDERS: dict[int | str, tuple[str, ...]] = {
    10: TEN_BANDS,
    12: _L2A,
    13: (*_L2A[:10], 'B10', *_L2A[10:]),
    'eurosat': (*_L2A[:8], 'B09', 'B10', 'B11', 'B12', 'B8A'),
}

# Of values 0..1: the usual statistics of ImageNet's photos (torchvision's model zoo; MAE, MoCo v3).
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _photos(name: str, mean: Sequence[float], std: Sequence[float]) -> SensorContract:
    """RGB photos, z-scored by statistics of values 0..255."""
    return SensorContract(
        name=name,
        bands=('R', 'G', 'B'),
        unit='uint8',
        mean=tuple(mean),
        std=tuple(std),
        offset=0.0,
        scaling='z_score',
        nodata=float('nan'),
    )


CONTRACTS = {
    made.name: made
    for made in (
        # Statistics of the authors' release: Sentinel-2 L2A, harmonised (no offset).
        SensorContract(
            name='sentinel2_10',
            bands=TEN_BANDS,
            unit='DN',
            mean=(
                1172.9397,
                1378.0846,
                1509.3327,
                1750.0275,
                2073.2758,
                2207.3283,
                2245.1629,
                2284.6384,
                2231.7283,
                1899.1932,
            ),  # fmt: skip
            std=(
                706.6250,
                720.1862,
                783.1424,
                707.1962,
                714.2782,
                748.1827,
                852.3585,
                762.0849,
                690.0165,
                669.9036,
            ),  # fmt: skip
            offset=0.0,
            scaling='two_sigma_uint8',
            nodata=0.0,
        ),
        # True colour of Level-1C (top of atmosphere), red first. Our own statistics: all pixels of
        # 6 000 EuroSAT RGB chips (the training split of those with coordinates), with
        # DN = (value - 1) / 254 * 2750; the chips clip at 2750 DN, and so do these figures.
        SensorContract(
            name='sentinel2_rgb',
            bands=('B04', 'B03', 'B02'),
            unit='DN',
            mean=(961.4669, 1050.9344, 1117.2026),
            std=(582.7957, 395.0426, 331.1740),
            offset=0.0,
            scaling='two_sigma_uint8',
            nodata=0.0,
        ),
        # What CROMA was trained on (antofuller/CROMA, README: mean +- 2 std to 8 bits, as SatMAE
        # and SeCo): no statistics of a data set, each image has its own.
        SensorContract(
            name='sentinel2_12',
            bands=_L2A,
            unit='DN',
            mean=(),
            std=(),
            offset=0.0,
            scaling='image_two_sigma_uint8',
            nodata=0.0,
        ),
        # Statistics of the authors' release, of values 0..255.
        _photos(
            'street_view_rgb',
            mean=(135.47184384, 142.28621995, 145.12271992),
            std=(59.19978436, 59.35279219, 72.02295734),
        ),
        _photos('street_view_imagenet', *([255 * v for v in values] for values in _IMAGENET)),
        # To [-1, 1]: the supervised ViTs of Steiner et al. 2021, as timm serves them.
        _photos('street_view_half', mean=(127.5,) * 3, std=(127.5,) * 3),
    )
}
PHOTO_SENSORS = tuple(made.name for made in CONTRACTS.values() if made.bands == ('R', 'G', 'B'))


def contract(name: str) -> SensorContract:
    """The contract of that name; InputError lists the known ones."""
    if name not in CONTRACTS:
        raise InputError(f'sensor: expected one of {", ".join(CONTRACTS)}, found {name!r}.')
    return CONTRACTS[name]


def band_indices(stored: Sequence[str], wanted: Sequence[str]) -> Int[np.ndarray, ' c']:
    """Where each wanted band stands among the stored ones; 'B2' and 'b02' both mean 'B02'.

    Raises:
      InputError: a wanted band is not stored, or stored twice.
    """
    names = [canonical(band) for band in stored]
    for band in wanted:
        if names.count(canonical(band)) != 1:
            what = 'missing' if canonical(band) not in names else 'there twice'
            raise InputError(f'band {band} is {what}: found {", ".join(stored)}.')
    return np.array([names.index(canonical(band)) for band in wanted], np.int64)


def canonical(band: str) -> str:
    """The name as ESA writes it: 'b2' -> 'B02', 'B8a' -> 'B8A'; other names only in capitals."""
    name = band.strip().upper()
    return f'B0{name[1]}' if len(name) == 2 and name[0] == 'B' and name[1].isdigit() else name
