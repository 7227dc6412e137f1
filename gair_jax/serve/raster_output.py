"""Maps as cloud-optimised GeoTIFFs, and as small pictures.

GDAL has no 16-bit float: float16 is stored as float32 of 16 bits (NBITS), which every reader shows
as float32.
"""

import io
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib
import numpy as np
import rasterio
import rasterio.shutil
from jaxtyping import Shaped
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gair_jax.serve.cells import CellGrid, Chunk
from gair_jax.serve.layers import Layer

TAG = 'gair_jax'
# Megabytes of decoded blocks; by default GDAL takes 5 % of the machine's memory.
CACHE = 64
BLOCK_BYTES = 2**24
BLOCKS = (512, 256, 128)
PREVIEW = 1200  # pixels, the longer side at the most
LEAST_PREVIEW = 400  # small maps are drawn with larger cells


def cog(
    path: pathlib.Path,
    layer: Layer,
    cells: CellGrid,
    chunks: Iterable[tuple[Chunk, Shaped[np.ndarray, 'r c b']]],
    made_by: Mapping[str, Any],
) -> None:
    """Writes a map; memory is that of a chunk and a few blocks.

    Args:
      path: of the file, whose folder also takes an uncompressed copy for a while.
      layer: what the bands are.
      cells: where they lie.
      chunks: of stored cells, that together are all of them.
      made_by: provenance, JSON values, kept in the tag `gair_jax`.
    """
    block = _block(layer)
    bits = {'nbits': 16} if layer.dtype == 'float16' else {}
    plain = path.with_suffix('.plain.tif')
    options = {'blocksize': block, 'compress': 'zstd', 'predictor': 'yes', **bits}
    with rasterio.open(plain, 'w', **_profile(layer, cells, block), **bits) as sink:
        sink.descriptions = layer.names
        if layer.scales:
            sink.scales = layer.scales
        sink.update_tags(**{TAG: json.dumps(made_by)})
        for chunk, stored in chunks:
            at = rasterio.windows.Window(chunk.col, chunk.row, chunk.cols, chunk.rows)
            sink.write(np.moveaxis(stored, -1, 0).astype(_gdal(layer)), window=at)
    rasterio.shutil.copy(
        plain, path, driver='COG', resampling='average', bigtiff='if_safer', **options
    )
    plain.unlink()


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `cog` kept in the tag; {} for a raster of other origin."""
    with rasterio.open(path) as source:
        return json.loads(source.tags().get(TAG, '{}'))


def preview(map_path: pathlib.Path, path: pathlib.Path) -> None:
    """A PNG of a map: three bands as they are, one band in colours with their scale."""
    with rasterio.open(map_path) as source:
        shrink = max(1, max(source.shape) / PREVIEW)
        shape = tuple(max(1, round(n / shrink)) for n in source.shape)
        bands = source.read(out_shape=(source.count, *shape), masked=True)
        name = source.descriptions[0]
    if len(bands) == 3:
        image = _with_alpha(np.moveaxis(bands, 0, -1))
        part = path.with_name(path.name + '.part')
        Image.fromarray(image).save(part, 'PNG')
        os.replace(part, path)
    else:
        _scaled(bands[0], name, path)


def _profile(layer: Layer, cells: CellGrid, block: int) -> dict[str, Any]:
    rows, cols = cells.shape
    return {
        'driver': 'GTiff',
        'count': len(layer.names),
        'height': rows,
        'width': cols,
        'dtype': _gdal(layer),
        'nodata': layer.nodata,
        'crs': cells.place.crs,
        'transform': rasterio.Affine(*cells.transform),
        'tiled': True,
        'blockxsize': block,
        'blockysize': block,
        'interleave': 'pixel',
        'bigtiff': 'if_safer',
        **({'photometric': 'rgb'} if layer.kind == 'pca3' else {}),
    }


def _gdal(layer: Layer) -> str:
    return 'float32' if layer.dtype == 'float16' else layer.dtype


def _block(layer: Layer) -> int:
    """Side of a block; all bands of a block are held at once."""
    a_cell = len(layer.names) * np.dtype(_gdal(layer)).itemsize
    return next((side for side in BLOCKS if side**2 * a_cell <= BLOCK_BYTES), BLOCKS[-1])


def _with_alpha(rgb: np.ma.MaskedArray) -> np.ndarray:
    """uint8 [h, w, 4], enlarged where it is small; cells without data are transparent."""
    seen = ~np.ma.getmaskarray(rgb).any(axis=-1, keepdims=True)
    image = np.concatenate([rgb.filled(0), np.uint8(255) * seen], axis=-1).astype(np.uint8)
    times = -(-LEAST_PREVIEW // max(image.shape[:2]))
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _scaled(band: np.ma.MaskedArray, name: str, path: pathlib.Path) -> None:
    values = band.compressed()
    low, high = np.percentile(values, [2, 98]) if len(values) else (0, 1)
    figure = Figure(figsize=(8, 8 * band.shape[0] / band.shape[1] + 0.4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shown = axes.imshow(band, cmap=matplotlib.colormaps['viridis'], vmin=low, vmax=high)
    axes.set_axis_off()
    figure.colorbar(shown, label=name, fraction=0.046, pad=0.02, extend='both')
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    part = path.with_name(path.name + '.part')
    part.write_bytes(buffer.getbuffer())
    os.replace(part, path)
