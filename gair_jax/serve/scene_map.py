"""Maps of a scene: embeddings, similarity to something, or a picture, as one file.

`gair map` and the grids of `gair query` are this function; what is computed is in
`serve.scene_cells`, how it becomes bands in `serve.layers`.
"""

import hashlib
import os
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import rasterio
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.serve import grid_outputs, layers, offset, raster_output, scene_cells
from gair_jax.serve.embedder import Embedder, Photo
from gair_jax.serve.engine import Tile
from gair_jax.serve.geoparquet import provenance
from gair_jax.serve.layers import Basis, Layer
from gair_jax.serve.parts import Parts, parts
from gair_jax.serve.scene_cells import Plan, Sampling

WRITERS = {
    '.tif': raster_output.cog,
    '.tiff': raster_output.cog,
    '.zarr': grid_outputs.to_zarr,
    '.parquet': grid_outputs.to_table,
}


class Target(NamedTuple):
    """What a similarity map compares with: a name, and the embedding in the common space."""

    name: str
    vector: Float[np.ndarray, ' d']


class Written(NamedTuple):
    """What was written: the file, its rows, columns and bands, how long it took.

    clipped: values that were out of the range of int8; preview: path of the picture, '' for none.
    """

    path: pathlib.Path
    shape: tuple[int, int, int]
    dtype: str
    seconds: float
    clipped: int
    preview: str


def to_photo(embedder: Embedder, photo: Photo) -> Target:
    """A photo to compare with."""
    return Target(f'photo {photo}', embedder.encode_sv([photo])[0])


def to_place(embedder: Embedder, lonlat: Sequence[float]) -> Target:
    """A place to compare with: degrees, WGS84, longitude first."""
    lon, lat = lonlat
    return Target(f'place {lon}, {lat}', embedder.encode_location([[lon, lat]])[0])


def to_vector(path: str | os.PathLike[str]) -> Target:
    """An embedding to compare with, from a .npy file of shape [d] or [1, d].

    Raises:
      InputError: the file holds something else.
    """
    try:
        vector = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f'{path}: expected a .npy file of numbers, found another.') from error
    if not isinstance(vector, np.ndarray) or vector.size != max(vector.shape, default=0):
        raise InputError(f'{path}: expected one embedding [d], found another shape.')
    vector = vector.reshape(-1).astype(np.float32)
    if not (np.isfinite(vector).all() and vector.any()):
        raise InputError(f'{path}: expected finite numbers that are not all 0.')
    return Target(f'vector {path}', vector)


def write(
    embedder: Embedder,
    scene: Tile,
    out: str | os.PathLike[str],
    sampling: Sampling,
    *,
    what: str = 'embeddings',
    dtype: str = '',
    target: Target | None = None,
    basis: str = '',
    subtract: float | None = None,
    band_order: str = '',
    memory: int = scene_cells.MEMORY,
) -> Written:
    """Writes a map of a scene, georeferenced; a killed run goes on where it stopped.

    Args:
      embedder: of `gair_jax.load`.
      scene: path of a GeoTIFF of any size, with a georeference.
      out: .tif (a COG), or for embeddings also .zarr or .parquet (a row a cell).
      sampling: spacing of the cells, windows, space.
      what: of `layers.KINDS`.
      dtype: of `layers.DTYPES`; '' is the kind's default.
      target: what `similarity` compares with.
      basis: an earlier pca3 map, so that both show the same components in the same colours.
      subtract: taken from stored values first; None is the sensor contract's offset.
      band_order: '' or 'eurosat', see `raster_files.open_raster`.
      memory: bytes of pixels and embeddings held at a time, about.

    Raises:
      InputError: settings that contradict each other, or a scene that cannot be used.
    """
    start, out = time.monotonic(), pathlib.Path(out)
    dtype = layers.check(what, dtype)
    _check(what, dtype, out, target, basis, sampling)
    raster_of = embedder.raster(scene, offset=subtract, band_order=band_order)
    with rasterio.Env(GDAL_CACHEMAX=raster_output.CACHE), raster_of as raster:
        _check_paths(raster.name, out)
        offset.warn(raster)
        made = scene_cells.plan(embedder, raster, sampling, memory)
        shown = _write(made, out, what, dtype, target, basis)
    return shown._replace(seconds=time.monotonic() - start)


def _write(
    made: Plan, out: pathlib.Path, what: str, dtype: str, target: Target | None, basis: str
) -> Written:
    if target is not None and len(target.vector) != made.width:
        raise InputError(
            f'{target.name}: expected {made.width} components, as wide as the embeddings of the '
            f'map, found {len(target.vector)}.'
        )
    drawn = {
        'what': what,
        'dtype': dtype,
        'to': _digest(target),
        'basis': scene_cells.file_identity(basis) if basis else '',
    }
    with parts(out, {**scene_cells.fingerprint(made), **drawn}) as kept:
        layer = _layer(made, what, dtype, target, basis, kept)
        scene_cells.compute(made, layer, kept, f'{made.raster.name}: {what}')
        clipped = scene_cells.clipped(made, kept)
        picture = _assemble(made, layer, kept, out, clipped)
    return Written(out, (*made.cells.shape, len(layer.names)), dtype, 0.0, clipped, picture)


def _check(
    what: str, dtype: str, out: pathlib.Path, target: Target | None, basis: str, sampling: Sampling
) -> None:
    """InputError where the settings contradict each other."""
    if out.suffix not in WRITERS:
        raise InputError(f'{out}: expected a name that ends in {", ".join(WRITERS)}.')
    if WRITERS[out.suffix] is not raster_output.cog and (what != 'embeddings' or dtype == 'int8'):
        raise InputError(f'{out}: {what} of {dtype} can be written as .tif alone.')
    if (what == 'similarity') != (target is not None):
        raise InputError(
            'similarity: expected what=similarity together with one photo, place or vector to '
            f'compare with, found what={what} with {"none" if target is None else target.name}.'
        )
    if what == 'similarity' and sampling.space != 'common':
        raise InputError('similarity: expected space common, found encoder.')
    if basis and what != 'pca3':
        raise InputError(f'basis: belongs to what=pca3, found what={what}.')


def _check_paths(scene: str, out: pathlib.Path) -> None:
    if out.exists() and os.path.exists(scene) and os.path.samefile(scene, out):
        raise InputError(f'{out}: is the scene itself; expected another name.')


def _digest(target: Target | None) -> str:
    return '' if target is None else hashlib.sha256(target.vector.tobytes()).hexdigest()


def _layer(
    made: Plan, what: str, dtype: str, target: Target | None, basis: str, kept: Parts
) -> Layer:
    if target is not None:
        return layers.similarity(target.vector, target.name, dtype)
    if basis:
        return layers.picture(_basis_of(made, basis))
    if what == 'embeddings' and dtype != 'int8':
        return layers.floats(made.width, dtype)
    if 'survey' not in kept:
        kept.save('survey', embeddings=scene_cells.survey(made))
    surveyed = kept.load('survey', 'embeddings')
    if what == 'pca3':
        return layers.picture(layers.basis_of(surveyed))
    return layers.integers(layers.scales_of(surveyed))


def _basis_of(made: Plan, path: str) -> Basis:
    """That of an earlier map; InputError where it is none or one of other embeddings."""
    try:
        found = raster_output.read_provenance(path)
    except rasterio.errors.RasterioError as error:
        raise InputError(f'{path}: expected a pca3 map, found no raster.') from error
    if 'basis' not in found:
        raise InputError(f'{path}: expected a map that gair map --what pca3 wrote.')
    own = _comparable(made.engine.origin.sha256, made.sampling)
    other = _comparable(found['checkpoint']['sha256'], Sampling(**found['sampling']))
    if own != other:
        raise InputError(
            f'{path}: its basis is of other embeddings: expected checkpoint, space and normalize '
            f'{own}, found {other}.'
        )
    return Basis.from_dict(found['basis'])


def _comparable(sha256: str, sampling: Sampling) -> tuple[Any, ...]:
    return sha256[:12], sampling.space, sampling.normalize


def _assemble(made: Plan, layer: Layer, kept: Parts, out: pathlib.Path, clipped: int) -> str:
    """Writes the output beside the parts and renames it into place; returns the picture's path."""
    made_by = provenance(
        made.engine,
        **scene_cells.fingerprint(made),
        what=layer.kind,
        dtype=layer.dtype,
        scales=list(layer.scales),
        clipped=clipped,
        **layer.settings,
    )
    ready = kept.folder / f'map{out.suffix}'
    chunks = scene_cells.stored_chunks(made, kept)
    WRITERS[out.suffix](ready, layer, made.cells, chunks, made_by)
    picture = out.with_suffix('.png') if layer.kind != 'embeddings' else None
    if picture:
        raster_output.preview(ready, picture)
    if out.is_dir():
        shutil.rmtree(out)
    os.replace(ready, out)
    return str(picture or '')
