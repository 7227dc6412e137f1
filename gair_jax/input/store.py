"""Random access to a prepared data set: photos of a split, and the acquisitions they refer to."""

import bisect
import collections
import contextlib
import functools
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int
from tensorflow_datasets.proto import tf_example_pb2

from gair_jax.config import DataConfig, InputError
from gair_jax.input import codecs
from gair_jax.input.records import Acquisition, Example, Photo

Record = TypeVar('Record', Photo, Acquisition)
Specs = dict[str, tuple[tuple[int | None, ...], np.dtype]]

_VERSION = '1.0.0'


class Store:
    """The prepared data set that `data` names; opened when first read, and picklable."""

    def __init__(self, data: DataConfig) -> None:
        """Raises InputError if the data set has not been built."""
        self._variant = pathlib.Path(data.dir) / data.name / data.variant
        if not (self._folder('photos') / 'dataset_info.json').exists():
            variants = sorted(
                path.parent.name.removesuffix('_photos')
                for path in self._variant.parent.glob(f'*_photos/{_VERSION}')
            )
            raise InputError(
                f'{data.dir}: no data set {data.name}, variant {data.variant}'
                + (f' (only {", ".join(variants)})' if variants else '')
                + f'; `gair data build {data.name} --variant={data.variant} --data-dir={data.dir}` '
                'makes it.'
            )

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """What the builder noted: bands, pixel_m, synthetic, tasks."""
        return dict(_builder(self._folder('photos')).info.metadata or {})

    @functools.cached_property
    def splits(self) -> dict[str, int]:
        """Number of photos in each split."""
        splits = _builder(self._folder('photos')).info.splits
        return {name: split.num_examples for name, split in splits.items()}

    def photos(self, split: str) -> 'Records[Photo]':
        """The photos of a split, in the order of their index."""
        if split not in self.splits:
            raise InputError(
                f'{self._folder("photos")}: expected split {" or ".join(self.splits)}, '
                f'found {split!r}.'
            )
        return Records(self._folder('photos'), split, Photo.from_example)

    @functools.cached_property
    def tiles(self) -> 'Records[Acquisition]':
        """All acquisitions; a photo's `acquisitions` are indices here."""
        return Records(self._folder('acquisitions'), 'tiles', Acquisition.from_example)

    def _folder(self, kind: str) -> pathlib.Path:
        return self._variant.parent / f'{self._variant.name}_{kind}' / _VERSION


class Records(Generic[Record]):
    """Records of one split by index. `example(i)` costs no decoding of pixels, `[i]` all of it."""

    def __init__(
        self, folder: pathlib.Path, split: str, decode: Callable[[Example], Record]
    ) -> None:
        """`folder` holds a TFDS data set; absent, there are no records (a set without tiles)."""
        self.folder, self._split = folder, split
        self._decode: Callable[[Example], Record] = decode
        self._ends: list[int] = []
        self._specs: Specs = {}
        if not folder.exists():
            return
        builder = _builder(folder)
        info = builder.info.splits[split]
        self._ends = list(itertools.accumulate(info.shard_lengths))
        self._files = [pathlib.Path(path) for path in info.filepaths]
        self._specs = _specs(builder.info.features)
        self._bytes = builder.as_data_source(
            split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        ).data_source

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of what each record holds; () without records."""
        return tuple(self._specs)

    def __getitem__(self, index: int) -> Record:
        """The whole record; InputError names the file and index of one that does not decode."""
        example = self.example(index)
        with self.blame(index):
            return self._decode(example)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def example(self, index: int, names: Sequence[str] = ()) -> Example:
        """The record's fields (all, or those named), as TFDS decodes them; InputError as above."""
        if not 0 <= index < len(self):
            raise InputError(f'{self.folder}: {self._split} has {len(self)} records, none {index}.')
        with self.blame(index):
            try:
                serialized = self._bytes[index]
            except RuntimeError as error:  # what the ArrayRecord reader raises for all it meets
                raise codecs.CorruptError(str(error)) from error
            return _parse(serialized, names or self._specs, self._specs)

    @contextlib.contextmanager
    def blame(self, index: int) -> Iterator[None]:
        """Turns a CorruptError inside into an InputError that names the file and the index."""
        try:
            yield
        except codecs.CorruptError as error:
            shard = bisect.bisect_right(self._ends, index)
            first = self._ends[shard - 1] if shard else 0
            raise InputError(
                f'{self._files[shard]}: record {index - first} ({self._split} {index}) cannot be '
                f'read: {error}.'
            ) from error

    def members(self) -> dict[str, Int[np.ndarray, ' _']]:
        """Indices of the photos of each group.

        Finding them reads every record once; what was found is kept beside the records, if that
        folder can be written, for the next time.
        """
        path = self.folder / f'groups.{self._split}.json'
        if path.exists():
            found = json.loads(path.read_text(encoding='utf-8'))
        else:
            found = collections.defaultdict(list)
            for index in range(len(self)):
                found[self.example(index, ['group'])['group'].decode()].append(index)
            _keep(path, json.dumps(found))
        return {name: np.array(found[name], np.int64) for name in sorted(found)}


def _keep(path: pathlib.Path, text: str) -> None:
    """Writes a file that only saves time, so that failing to is no error."""
    part = path.with_suffix(f'.{os.getpid()}.part')
    try:
        part.write_text(text, encoding='utf-8')
        part.replace(path)
    except OSError:  # a read-only or full disk
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@functools.lru_cache(maxsize=16)
def _cached_builder(folder: pathlib.Path, changed: int) -> tfds.core.DatasetBuilder:
    del changed  # part of the key: a data set may be built anew in one process
    return tfds.builder_from_directory(str(folder))


def _builder(folder: pathlib.Path) -> tfds.core.DatasetBuilder:
    return _cached_builder(folder, (folder / 'dataset_info.json').stat().st_mtime_ns)


def _specs(features: tfds.features.FeaturesDict) -> Specs:
    return {name: (feature.shape, feature.np_dtype) for name, feature in features.items()}


def _parse(serialized: bytes, names: Iterable[str], specs: Specs) -> Example:
    """One record as TFDS decodes it, several times faster.

    TFDS spends about 20 us a field, more than all else that an example needs. The message is the
    same; our records hold only bytes, numbers and arrays of numbers.
    """
    try:
        stored = tf_example_pb2.Example.FromString(serialized).features.feature
        return {name: _field(stored[name], *specs[name]) for name in names}
    except Exception as error:  # protobuf's own errors differ between its versions
        raise codecs.CorruptError(f'it is no record of this data set ({error})') from error


def _field(stored: Any, shape: tuple[int | None, ...], dtype: np.dtype) -> Any:
    kind = stored.WhichOneof('kind')
    values = getattr(stored, kind).value
    if kind == 'bytes_list':
        return values[0]
    if not shape:
        return np.dtype(dtype).type(values[0])
    array = np.array(values, dtype)
    return array if None in shape else array.reshape(shape)
