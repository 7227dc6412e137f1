"""The stage `pack`: pairs -> the prepared data set `streetscapes` (chunks: `pack_chunks`)."""

import collections
import dataclasses
import functools
import hashlib
import os
import pathlib
from typing import Any

import pandas as pd
import pyarrow.parquet

from gair_jax.builders import build_report, prepared, staging, variants
from gair_jax.builders.streetscapes import chips, pack_chunks, pair, photos_files
from gair_jax.builders.streetscapes.layouts import RELEASE
from gair_jax.builders.streetscapes.pack_chunks import Job
from gair_jax.builders.streetscapes.scenes_source import BANDS
from gair_jax.builders.streetscapes.settings import StreetscapesConfig
from gair_jax.config import InputError

# A share of fewer cities than this could be none, so that they all go to train.
FEW = 10


class Streetscapes(prepared.PreparedBuilder):
    """Street views, Sentinel-2 tiles of several dates and places."""


def pack(
    settings: StreetscapesConfig,
    out: pathlib.Path,
    *,
    data_dir: str | os.PathLike[str] = 'prepared',
    workers: int = 1,
    beam: str = '',
) -> build_report.BuildReport:
    """Packs a build, goes on with a killed one, reuses a finished one.

    Args:
      settings: of the build.
      out: its folder, paired.
      data_dir: folder that holds prepared data sets.
      workers: processes; never changes the result.
      beam: options for Beam, which then makes the chunks; '' for processes of this machine.

    Raises:
      InputError: a setting cannot be, a file is missing or not what was fetched, or nothing can be
        written.
    """
    job = job_of(settings, out)
    few = not any(job.fractions)
    grounds = 'blocks' if settings.places.raster else 'cities'
    data_dir = pathlib.Path(data_dir)
    # Workers elsewhere have another current folder.
    at = dataclasses.replace(job, out=out.absolute()) if beam else job
    expected = pyarrow.parquet.read_metadata(pair.path_of(out, 'photos')).num_rows
    metadata = prepared.prepare(
        Streetscapes,
        variant=settings.variant,
        data_dir=data_dir,
        fingerprint={'synthetic': settings.synthetic, **_fingerprint(job)},
        content=_content(settings, pair.read(out, 'photos', ('licence',))),
        chunks=len(pack_chunks.tiles_of(out)),
        make=functools.partial(pack_chunks.make, at),
        workers=workers,
        accept=functools.partial(_accept, expected=expected),
        beam=beam,
    )
    notes = [f'Fewer than {FEW} {grounds}: all are in train.'] if few else []
    return build_report.report(data_dir, Streetscapes.name, settings.variant, metadata, notes)


def check(settings: StreetscapesConfig) -> None:
    """Raises InputError on settings that nothing could be packed with."""
    chips.check(settings.tiles)
    variants.check_variant(settings.variant)
    fractions = settings.fractions
    if len(fractions) != 3 or min(fractions) < 0 or not sum(fractions) > 0:
        raise InputError(f'fractions: expected three shares >= 0, found {fractions}.')


def job_of(settings: StreetscapesConfig, out: pathlib.Path) -> Job:
    """What the chunks of a paired build need to know; raises as `pack` does."""
    check(settings)
    fractions = settings.fractions
    photos = pair.read(out, 'photos', ('tile', 'block'))
    blocks = dict(zip(photos['tile'], photos['block'], strict=True))
    tiles = (tile for chunk in pack_chunks.tiles_of(out) for tile in chunk)
    grounds = {pack_chunks.ground_of(tile, blocks[tile.key]) for tile in tiles}
    return Job(
        out=out,
        settings=settings.tiles,
        most_nodata=settings.scenes.most_nodata,
        fractions=fractions if len(grounds) >= FEW else (0.0, 0.0, 0.0),
        seed=settings.places.seed,
        removed=photos_files.removed_ids(settings.photos.removed),
    )


def _fingerprint(job: Job) -> dict[str, Any]:
    """All that the records depend on."""
    settings = {key: value for key, value in dataclasses.asdict(job).items() if key != 'out'}
    there = _ids(pair.read(job.out, 'photos', ('key',))) if job.removed else set()
    settings['removed'] = sorted(job.removed & there)
    tables = {name: _digest(pair.path_of(job.out, name)) for name in ('photos', 'scenes')}
    chunks = [[tile.key for tile in chunk] for chunk in pack_chunks.tiles_of(job.out)]
    return {**settings, **tables, 'tiles': chunks}


def _digest(path: pathlib.Path) -> str:
    """SHA-256 of what a table says, some rows at a time; not of its file, which has versions."""
    found = hashlib.sha256()
    with pyarrow.parquet.ParquetFile(path) as table:
        for rows in table.iter_batches():
            found.update(rows.to_pandas().to_csv(index=False).encode())
    return found.hexdigest()


def _ids(photos: pd.DataFrame) -> set[str]:
    """Keys of photos, and their ids at their services."""
    return {*photos['key'], *(key.partition(':')[2] for key in photos['key'])}


def _content(settings: StreetscapesConfig, photos: pd.DataFrame) -> prepared.Content:
    """Metadata: bands, pixels, and whose licences the photos are under."""
    licences = collections.Counter(photos['licence'])
    # In degrees, release tiles have pixels of 10 m from south to north alone.
    note = {'layout': settings.tiles.layout, 'square': settings.tiles.layout != RELEASE}
    metadata = {
        'bands': list(BANDS),
        'pixel_m': 10.0,
        'synthetic': settings.synthetic,
        'tasks': {},
        'licences': dict(sorted(licences.items())),
        'tiles': note,
    }
    return prepared.Content(labels={}, tile_labels=(), metadata=metadata)


def _accept(folder: pathlib.Path, *, expected: int) -> dict[str, Any]:
    """Refuses a staging that lost a photo: each is packed, or dropped with a reason."""
    packed = sum(1 for _ in staging.read(folder, 'photos', ('id',)))
    dropped = [row['reason'] for row in staging.read(folder, 'dropped', ('reason',))]
    if packed + len(dropped) != expected:
        raise InputError(
            f'{folder}: expected {expected} photos packed or dropped, found {packed} and '
            f'{len(dropped)}.'
        )
    if not packed:
        raise InputError(f'{folder}: no photo or place is left to pack: {dropped[0]}.')
    return {'failed': len(dropped), 'dropped': dict(collections.Counter(dropped))}
