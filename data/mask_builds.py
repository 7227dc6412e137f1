"""From tiles with masks in a folder (`mask_tiles`) to a prepared data set."""

import functools
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gair_jax.builders import build_report, prepared, staging


class Source(NamedTuple):
    """The tiles of a data set, and how they become records.

    root: folder of the files.
    items: what is said of each tile, in the order of its records; can be pickled.
    files: all that the records depend on, under the root.
    add: adds the records of an item to a chunk; a function of a module.
    per_chunk: tiles in a piece of work.
    noted: what the records depend on beside the files, as JSON.
    """

    root: pathlib.Path
    items: Sequence[Any]
    files: Sequence[pathlib.Path]
    add: Callable[[staging.Chunk, pathlib.Path, Any], None]
    per_chunk: int
    noted: dict[str, Any] = {}


def listing(root: pathlib.Path, files: Iterable[pathlib.Path]) -> str:
    """A digest of names and sizes, which says whether a build is of the same files."""
    sizes = {
        path.relative_to(root).as_posix(): path.stat().st_size if path.exists() else -1
        for path in files
    }
    return hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()


def _make(source: Source, index: int) -> staging.Chunk:
    chunk = staging.Chunk([], [], [])
    for item in source.items[index * source.per_chunk : (index + 1) * source.per_chunk]:
        source.add(chunk, source.root, item)
    return chunk


def prepare(
    builder: type[prepared.PreparedBuilder],
    source: Source,
    content: prepared.Content,
    *,
    data_dir: str | os.PathLike = 'prepared',
    variant: str = 'default',
    workers: int = 1,
    accept: Callable[[pathlib.Path], dict[str, Any]] = lambda folder: {},
) -> build_report.BuildReport:
    """Prepares a data set of tiles; the arguments are those of `prepared.prepare`.

    What `accept` returns under `skipped`, sentences on what was left out, is told to the user.
    """
    data_dir = pathlib.Path(data_dir)
    metadata = prepared.prepare(
        builder,
        variant=variant,
        data_dir=data_dir,
        fingerprint={**source.noted, 'files': listing(source.root, source.files)},
        content=content,
        chunks=math.ceil(len(source.items) / source.per_chunk),
        make=functools.partial(_make, source),
        workers=workers,
        accept=accept,
    )
    notes = [f'Left out: {sentence}.' for sentence in metadata.get('skipped', [])]
    return build_report.report(data_dir, builder.name, variant, metadata, notes)
