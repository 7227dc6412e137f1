"""From staged chunks to a prepared data set: TFDS records in ArrayRecord files, without TensorFlow.

A variant of a data set is two TFDS configs in one folder, `<variant>_acquisitions` (one record a
tile and date, in a fixed order) and `<variant>_photos` (which refer to the former by row). Each is
written under a temporary name and renamed when complete, the photos last: a data set whose photos
are there is whole. Record rules: `gair_jax.input.records`.

Two builds give the same records in the same order. Their files may still differ in the order of a
record's fields, which protobuf chooses anew in every process.
"""

import collections
import contextlib
import hashlib
import io
import itertools
import json
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from gair_jax.builders import staging, variants
from gair_jax.config import InputError
from gair_jax.input import records

SPLITS = ('train', 'val', 'test')
PER_SHARD = {'acquisitions': 1024, 'photos': 8192}  # records a file: some hundred MB
_AT_ONCE = 64  # records between two writings of the metadata

Labels = dict[str, tuple[tuple[int, ...], np.dtype | type]]


class Content(NamedTuple):
    """What a data set holds beside its records.

    labels: name -> (shape, dtype) of the labels that every photo carries.
    tile_labels: names of the [H, W] label rasters that every acquisition carries.
    metadata: JSON that is stored with the set (bands, pixel_m, synthetic, tasks).
    """

    labels: Labels
    tile_labels: tuple[str, ...]
    metadata: dict[str, Any]


class _Index(NamedTuple):
    """How staged records refer to each other once they have rows."""

    tiles: dict[str, int]
    rows: dict[str, list[int]]
    acquisitions: int
    splits: dict[str, int]


class _Info(tfds.core.DatasetInfo):
    """Of a data set that is made here."""

    def initialize_from_bucket(self) -> None:
        """Does nothing: TFDS has no such set in its bucket; asking leaves a folder in /tmp."""


class PreparedBuilder(tfds.core.GeneratorBasedBuilder):
    """Writes one of the two configs of a variant from its staging folder.

    A data set derives a class of its own, whose name (in snake case) is that of the data set.
    """

    VERSION = tfds.core.Version(variants.VERSION)

    def __init__(
        self,
        *,
        variant: str,
        kind: str,
        data_dir: pathlib.Path,
        folder: pathlib.Path,
        content: Content,
        index: _Index,
    ) -> None:
        """Takes what TFDS does not know; `kind` is 'photos' or 'acquisitions'."""
        self._kind, self._folder, self._content, self._index = kind, folder, content, index
        super().__init__(
            data_dir=str(data_dir),
            config=tfds.core.BuilderConfig(name=f'{variant}_{kind}'),
            file_format='array_record',
        )

    def _info(self) -> tfds.core.DatasetInfo:
        photos = self._kind == 'photos'
        content = self._content
        return _Info(
            builder=self,
            description=type(self).__doc__,
            features=records.photo_features(content.labels)
            if photos
            else records.acquisition_features(content.tile_labels),
            metadata=tfds.core.MetadataDict(content.metadata),
            disable_shuffling=True,
        )

    def _split_generators(self, manager: tfds.download.DownloadManager) -> dict[str, Any]:
        del manager
        if self._kind == 'acquisitions':
            return {'tiles': self._generate_examples('tiles')}
        return {split: self._generate_examples(split) for split in self._index.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        return self.examples(split)

    def examples(self, split: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Key and features of each record of a split, in order."""
        return self._acquisitions() if split == 'tiles' else self._photos(split)

    def _acquisitions(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for row, staged in enumerate(staging.read(self._folder, 'acquisitions')):
            tile = self._index.tiles[staged.pop('tile_key')]
            yield row, records.Acquisition(tile=tile, **staged).to_example()

    def _photos(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for staged in staging.read(self._folder, 'photos', split=split):
            del staged['split']
            key = staged.pop('tile_key')
            tile = self._index.tiles[key] if key else records.NO_TILE
            rows = self._index.rows[key] if key else []
            photo = records.Photo(tile=tile, acquisitions=rows, **staged)
            yield photo.id, photo.to_example()


def _index(folder: pathlib.Path) -> _Index:
    dated = collections.defaultdict(list)
    for row, staged in enumerate(staging.read(folder, 'acquisitions', ('tile_key', 'date'))):
        dated[staged['tile_key']].append((staged['date'], row))
    counts = collections.Counter(
        staged['split'] for staged in staging.read(folder, 'photos', ('split',))
    )
    return _Index(
        tiles={key: tile for tile, key in enumerate(dated)},
        rows={key: [row for _, row in sorted(pairs)] for key, pairs in dated.items()},
        acquisitions=sum(len(pairs) for pairs in dated.values()),
        splits={split: counts[split] for split in SPLITS if counts[split]},
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """TFDS tells of its progress on stdout, and warns that configs are made on the fly."""
    tfds.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)


def _write(builder: PreparedBuilder, expected: dict[str, int], per_shard: int) -> None:
    """Writes records in the order in which they are staged, a few in memory at a time.

    TFDS's usual writer shuffles, and for more than 1 GB it needs TensorFlow to do so. Training
    draws its own order, so nothing is lost.
    """
    folder = pathlib.Path(builder.data_dir)
    folder.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(builder.info, per_shard, file_format='array_record')
    writer.initialize_splits(list(expected))
    for split in expected:
        examples = (example for _, example in builder.examples(split))
        while some := list(itertools.islice(examples, _AT_ONCE)):
            writer.add_examples({split: some})
    writer.close_all()
    written = {name: split.num_examples for name, split in builder.info.splits.items()}
    assert written == expected, (folder, written, expected)


def splits_digest(photos: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over (split, id) of every photo, whatever their order between splits."""
    digests = {split: hashlib.sha256() for split in SPLITS}
    for split, name in photos:
        digests[split].update(f'{len(name)}:{name}'.encode())
    whole = [f'{split} {digests[split].hexdigest()}' for split in SPLITS]
    return hashlib.sha256('\n'.join(whole).encode()).hexdigest()


def pack(
    builder: type[PreparedBuilder],
    variant: str,
    data_dir: pathlib.Path,
    folder: pathlib.Path,
    content: Content,
) -> dict[str, int]:
    """Writes both configs of a variant from its staging folder, which is removed at the end.

    Returns:
      Number of photos in each split, and of acquisitions under 'tiles'.

    Raises:
      InputError: the records cannot be written (disk full, file-size limit, no permission).
    """
    index = _index(folder)
    assert index.splits, f'{folder}: no photos were staged'
    counts = {**index.splits, 'tiles': index.acquisitions}
    staged = staging.read(folder, 'photos', ('id', 'split'))
    digest = splits_digest((row['split'], row['id']) for row in staged)
    content = content._replace(
        metadata={**content.metadata, 'counts': counts, 'splits_sha256': digest}
    )
    parts = {'acquisitions': {'tiles': index.acquisitions}, 'photos': index.splits}
    if not index.acquisitions:  # TFDS refuses a config without examples.
        del parts['acquisitions']
    for kind, expected in parts.items():
        target = variants.config_dir(data_dir, builder.name, variant, kind)
        part = target.parent.with_suffix('.part')  # TFDS wants folders of its own in there
        try:
            for old in (part, target.parent):
                shutil.rmtree(old, ignore_errors=True)
            with _quiet():
                made = builder(
                    variant=variant,
                    kind=kind,
                    data_dir=part,
                    folder=folder,
                    content=content,
                    index=index,
                )
                _write(made, expected, PER_SHARD[kind])
            pathlib.Path(made.data_dir).parent.rename(target.parent)
            shutil.rmtree(part)
        except OSError as error:
            raise InputError(f'{target}: cannot be written: {error.strerror or error}') from error
        except RuntimeError as error:
            # What ArrayRecord makes of a full disk: 'write() failed: No space left on device; ...'.
            _, failed, reason = str(error).partition('() failed: ')
            if not failed:
                raise
            raise InputError(f'{target}: cannot be written: {reason.partition(";")[0]}') from error
    shutil.rmtree(folder)
    return counts


def prepare(
    builder: type[PreparedBuilder],
    *,
    variant: str,
    data_dir: pathlib.Path,
    fingerprint: dict[str, Any],
    content: Content,
    chunks: int,
    make: Callable[[int], staging.Chunk],
    workers: int,
    accept: Callable[[pathlib.Path], dict[str, Any]] = lambda folder: {},
    beam: str = '',
) -> dict[str, Any]:
    """Stages and packs a variant; goes on where a killed build stopped, reuses a finished one.

    Args:
      builder: class of the data set.
      variant: name of this build of it.
      data_dir: folder that holds prepared data sets.
      fingerprint: everything the records depend on, as JSON.
      content: labels and metadata.
      chunks: number of pieces of work.
      make: picklable; makes one of them.
      workers: processes; never changes the result.
      accept: looks at the staging folder before it is packed; returns further metadata, or raises
        InputError to refuse it.
      beam: as for `staging.run`.

    Returns:
      The metadata stored with the set: that of `content` and `accept`, `build` (the fingerprint),
      `counts` (photos in each split, and acquisitions under 'tiles') and `splits_sha256`.

    Raises:
      InputError: the variant holds another build, or nothing can be written.
    """
    variants.check_variant(variant)
    fingerprint = json.loads(json.dumps(fingerprint))
    where = variants.config_dir(data_dir, builder.name, variant, 'photos')
    found = variants.built(data_dir, builder.name, variant)
    if found and found['build'] != fingerprint:
        raise InputError(
            f'{where}: holds a build from other input or options; remove the folder, or give this '
            'one another --variant'
        )
    folder = variants.staging_dir(data_dir, builder.name, variant)
    if found:
        # Killed after the last rename, a build leaves its chunks behind.
        shutil.rmtree(folder, ignore_errors=True)
    else:
        staging.run(folder, fingerprint, chunks, make, workers, f'{builder.name}/{variant}', beam)
        metadata = {**content.metadata, **accept(folder), 'build': fingerprint}
        pack(builder, variant, data_dir, folder, content._replace(metadata=metadata))
        found = variants.built(data_dir, builder.name, variant)
    return found
