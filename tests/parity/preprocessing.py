"""Parity of what turns rasters and photos into network input."""

import numpy as np
import rasterio
from PIL import Image

from gair_jax.input.resize import resize
from gair_jax.models.interpolation import CUBIC
from gair_jax.sensors import BAND_ORDERS, contract
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case


def tile(bands: np.ndarray, size: int, kwargs: dict) -> np.ndarray:
    """Network input (channel, row, column) from a raster (row, column, band).

    The release takes bands by index whatever their number; we take them by name, which is the same
    for the 12 bands of L2A and for 10 bands.
    """
    require(kwargs, bicubic_a=CUBIC, antialias=False, bands_given=(10, 12))
    sensor = contract('sentinel2_10')
    stored = BAND_ORDERS[kwargs['bands_given']]
    values = bands[..., sensor.select(stored)]
    return np.moveaxis(resize(sensor.normalize(values), (size, size), 'cubic'), -1, 0)


def photo(pixels: np.ndarray, size: int, kwargs: dict) -> np.ndarray:
    """Network input (channel, row, column) from a photo (row, column, channel)."""
    require(kwargs, bicubic_a=CUBIC, antialias=False)
    values = contract('street_view_rgb').normalize(pixels)
    return np.moveaxis(resize(values, (size, size), 'cubic'), -1, 0)


def rows_first(array: np.ndarray, layout: str) -> np.ndarray:
    """The array as (row, column, channel)."""
    require({'layout': layout}, layout=('hwc', 'chw'))
    return np.moveaxis(array, 0, -1) if layout == 'chw' else array


@kind('preprocess_arrays')
def arrays(case: Case, data: Data) -> Arrays:
    del data
    kwargs, inputs = case.kwargs, case.inputs
    return {
        'rs': tile(rows_first(inputs['rs'], kwargs['rs_layout']), kwargs['rs_size'], kwargs),
        'sv': photo(rows_first(inputs['sv'], kwargs['sv_layout']), kwargs['sv_size'], kwargs),
    }


@kind('preprocess_rs')
def rasters(case: Case, data: Data) -> Arrays:
    out = {}
    for name, file in case.kwargs['files'].items():
        with rasterio.open(data.file(file)) as raster:
            bands = np.moveaxis(raster.read(), 0, -1)
        out[name] = tile(bands, case.kwargs['size'], case.kwargs)
    return out


@kind('preprocess_sv')
def photos(case: Case, data: Data) -> Arrays:
    out = {}
    for name, file in case.kwargs['files'].items():
        with Image.open(data.file(file)) as image:
            pixels = np.asarray(image.convert('RGB'))
        out[name] = photo(pixels, case.kwargs['size'], case.kwargs)
    return out
