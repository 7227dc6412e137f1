"""Parity of what turns rasters and photos into network input."""

import numpy as np
import rasterio
import rasterio.warp
from PIL import Image

from gair_jax.geo.windows import centred_window, window_bounds
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


@kind('extract_window')
def windows(case: Case, data: Data) -> Arrays:
    """The release's centred window, its nominal box, and the point, in the raster's CRS."""
    require(case.kwargs, bbox_order=['lon_min', 'lat_max', 'lon_max', 'lat_min'])
    arrays: Arrays = {}
    for n, query in enumerate(case.kwargs['queries']):
        with rasterio.open(data.file(query['file'])) as raster:
            point = np.array(rasterio.warp.transform(query['crs'], raster.crs, *place(query)))[:, 0]
            transform = np.array(raster.transform[:6])
            col, row = (point - transform[[2, 5]]) / transform[[0, 4]]
            size = query['size']
            row, col, shifted = centred_window((row, col), raster.shape, size)
            stored = BAND_ORDERS[raster.count]
            bands = raster.read()[contract('sentinel2_10').select(stored)]
        arrays[f'patch_{n}'] = bands[:, row : row + size, col : col + size].astype(np.int64)
        arrays[f'bbox_{n}'] = window_bounds(transform, row, col, size)
        arrays[f'query_{n}'] = point
        arrays[f'shifted_{n}'] = np.asarray(shifted, np.int64)
    return arrays


def place(query: dict) -> tuple[list[float], list[float]]:
    return [query['x']], [query['y']]
