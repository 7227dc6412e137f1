"""Records of a prepared data set: photos and acquisitions, and their form in ArrayRecord files.

A data set is two TFDS configs, `<variant>_photos` and `<variant>_acquisitions`, written and read
without TensorFlow. What TFDS cannot carry faithfully is stored otherwise: a float64 as the int64
of its bits (a float64 feature keeps 32 bits), pixels as bytes with shape, type and codec, a photo
as the bytes of its file. `gair_jax.input.store` reads them.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Int, Integer, Shaped

from gair_jax.config import InputError
from gair_jax.input import codecs

NO_TILE = -1
_LABEL = 'label_'

Example = dict[str, Any]
LabelSpecs = Mapping[str, tuple[tuple[int, ...], np.dtype | type]]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A place: its street view photo, if any, and the tile it lies in, if any.

    Attributes:
      id: unique in the data set.
      photo: bytes of a JPEG or PNG file; b'' for none.
      lonlat: degrees, WGS84.
      heading: degrees clockwise from north; nan if unknown.
      date: ISO 8601, or ''.
      licence: of the photo, or ''.
      group: what balanced sampling treats alike, usually the city; or ''.
      tile: id of the tile; `NO_TILE` for none.
      acquisitions: rows of the acquisitions of that tile, by date; empty for none.
      labels: by name, integers, booleans or float32 of the shape that the data set says.
    """

    id: str
    photo: bytes
    lonlat: Float[np.ndarray, '2']
    heading: float
    date: str
    licence: str
    group: str
    tile: int
    acquisitions: list[int]
    labels: dict[str, Shaped[np.ndarray, '...']]

    def to_example(self) -> Example:
        """What the TFDS builder writes."""
        return {
            'id': self.id,
            'photo': self.photo,
            'lonlat': float_bits(self.lonlat),
            'heading': int(float_bits([self.heading])[0]),
            'date': self.date,
            'licence': self.licence,
            'group': self.group,
            'tile': self.tile,
            'acquisitions': np.asarray(self.acquisitions, np.int64),
            **{_LABEL + name: value for name, value in self.labels.items()},
        }

    @classmethod
    def from_example(cls, example: Example) -> 'Photo':
        """The inverse, of an example as TFDS decodes it."""
        return cls(
            photo=example['photo'],
            lonlat=bits_float(example['lonlat']),
            heading=float(bits_float([example['heading']])[0]),
            tile=int(example['tile']),
            acquisitions=[int(row) for row in example['acquisitions']],
            labels={name: np.asarray(example[_LABEL + name]) for name in _label_names(example)},
            **{name: example[name].decode() for name in ('id', 'date', 'licence', 'group')},
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Acquisition:
    """One date of a tile.

    Attributes:
      id: unique in the data set.
      tile: id of the tile.
      date: ISO 8601, or ''.
      cloud: cloudy share, 0 to 1; nan if unknown.
      bands: pixels, row 0 in the north; uint16, uint8 or float32.
      band_names: one for each channel.
      bounds: left, top, right, bottom of the tile in the units of `crs`.
      crs: anything pyproj reads, such as 'EPSG:32654'.
      transform: affine coefficients a, b, c, d, e, f from (col, row) to the CRS, as in rasterio.
      labels: by name, uint8 rasters on the tile's pixels.
    """

    id: str
    tile: int
    date: str
    cloud: float
    bands: Shaped[np.ndarray, 'h w c']
    band_names: tuple[str, ...]
    bounds: Float[np.ndarray, '4']
    crs: str
    transform: Float[np.ndarray, '6']
    labels: dict[str, Integer[np.ndarray, 'h w']]

    def to_example(self, codec: str = 'hdiff_zstd') -> Example:
        """What the TFDS builder writes; `codec` is one of `codecs.CODECS`."""
        return {
            'id': self.id,
            'tile': self.tile,
            'date': self.date,
            'cloud': int(float_bits([self.cloud])[0]),
            'bands': codecs.pack(self.bands, codec).data,
            'codec': codec,
            'shape': np.array(self.bands.shape, np.int64),
            'dtype': self.bands.dtype.name,
            'band_names': ','.join(self.band_names),
            'bounds': float_bits(self.bounds),
            'crs': self.crs,
            'transform': float_bits(self.transform),
            **{_LABEL + k: codecs.pack(v, codec).data for k, v in self.labels.items()},
        }

    @classmethod
    def from_example(cls, example: Example) -> 'Acquisition':
        """The inverse, of an example as TFDS decodes it; CorruptError if pixels do not decode."""
        return cls(
            tile=int(example['tile']),
            cloud=float(bits_float([example['cloud']])[0]),
            bands=packed_bands(example).whole(),
            band_names=band_names(example),
            bounds=bits_float(example['bounds']),
            transform=bits_float(example['transform']),
            labels={k: packed_label(example, k).whole() for k in _label_names(example)},
            **{name: example[name].decode() for name in ('id', 'date', 'crs')},
        )


def photo_features(labels: LabelSpecs) -> tfds.features.FeaturesDict:
    """Features of a photo record.

    Args:
      labels: name -> (shape, dtype) of the labels that every photo of the data set carries.

    Raises:
      InputError: a label is float64, which TFDS would cut to 32 bits.
    """
    text, integer = tfds.features.Text(), tfds.features.Scalar(np.int64)
    for name, (_, dtype) in labels.items():
        if np.dtype(dtype) == np.float64:
            raise InputError(f'label {name}: expected float32, bool or an integer, found float64.')
    return tfds.features.FeaturesDict(
        {
            **dict.fromkeys(('id', 'photo', 'date', 'licence', 'group'), text),
            **dict.fromkeys(('heading', 'tile'), integer),
            'lonlat': tfds.features.Tensor(shape=(2,), dtype=np.int64),
            # Not a Sequence: TFDS decodes that to a list, item by item.
            'acquisitions': tfds.features.Tensor(shape=(None,), dtype=np.int64),
            **{
                _LABEL + name: tfds.features.Tensor(shape=shape, dtype=np.dtype(dtype))
                for name, (shape, dtype) in labels.items()
            },
        }
    )


def acquisition_features(label_names: Iterable[str]) -> tfds.features.FeaturesDict:
    """Features of an acquisition record whose tile carries label rasters of these names."""
    texts = ('id', 'date', 'bands', 'codec', 'dtype', 'band_names', 'crs')
    sizes = {'shape': 3, 'bounds': 4, 'transform': 6}
    return tfds.features.FeaturesDict(
        {
            **dict.fromkeys((*texts, *(_LABEL + n for n in label_names)), tfds.features.Text()),
            **dict.fromkeys(('tile', 'cloud'), tfds.features.Scalar(np.int64)),
            **{k: tfds.features.Tensor(shape=(n,), dtype=np.int64) for k, n in sizes.items()},
        }
    )


def packed_bands(example: Example) -> codecs.PackedArray:
    """The pixels [H, W, C] of an acquisition, still packed, to read a window of them."""
    shape = tuple(int(n) for n in example['shape'])
    return codecs.PackedArray(
        example['bands'], shape, example['dtype'].decode(), example['codec'].decode()
    )


def label_field(name: str, fields: Sequence[str]) -> str:
    """The field of a stored record that holds a label; InputError unless it is among `fields`."""
    if _LABEL + name in fields:
        return _LABEL + name
    known = [field.removeprefix(_LABEL) for field in fields if field.startswith(_LABEL)]
    raise InputError(
        f'head.label: expected one of the labels that records carry, {", ".join(known) or "none"}, '
        f'found {name!r}.'
    )


def packed_label(example: Example, name: str) -> codecs.PackedArray:
    """A label raster [H, W] of an acquisition, still packed."""
    shape = tuple(int(n) for n in example['shape'][:2])
    return codecs.PackedArray(example[_LABEL + name], shape, 'uint8', example['codec'].decode())


def band_names(example: Example) -> tuple[str, ...]:
    """Names of an acquisition's channels."""
    return tuple(example['band_names'].decode().split(','))


def float_bits(values: Any) -> Int[np.ndarray, '...']:
    """float64 values as the int64 of the same bits."""
    return np.asarray(values, np.float64).view(np.int64)


def bits_float(bits: Any) -> Float[np.ndarray, '...']:
    """The inverse of `float_bits`."""
    return np.asarray(bits, np.int64).view(np.float64)


def _label_names(example: Example) -> list[str]:
    return [name.removeprefix(_LABEL) for name in example if name.startswith(_LABEL)]
