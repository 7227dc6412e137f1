"""Photos at hand: a folder of files that are named by the key, the id or the uuid of a photo."""

import math
import os
import pathlib

import pandas as pd
from PIL import Image

from gair_jax.builders import street_photos
from gair_jax.builders.streetscapes import (
    photos_files,
    photos_images,
    photos_kartaview,
    photos_mapillary,
)
from gair_jax.builders.streetscapes.photos_requests import Client, LostError
from gair_jax.builders.streetscapes.photos_source import Facts
from gair_jax.config import InputError

# What the origin of a photo says of it, whoever downloaded it.
_LICENCES = {'mapillary': photos_mapillary.LICENCE, 'kartaview': photos_kartaview.LICENCE}


class Folder:
    """The photos of a folder as a source, asked by key."""

    name = 'folder'

    def __init__(self, client: Client, root: str, photos: pd.DataFrame) -> None:
        """Looks at the names of all files under the folder, once.

        Args:
          client: whose threads read the files.
          root: the folder; '' has no photo.
          photos: planned ones: key, source, orig_id, datetime, and uuid if they have one.

        Raises:
          InputError: no such folder, or two files are named after one photo.
        """
        self._client = client
        self._found = _find(pathlib.Path(root), photos) if root else {}
        known = photos[photos['key'].isin(list(self._found))]
        columns = (known['source'], known['orig_id'], known['datetime'])
        self._rows = dict(zip(known['key'], zip(*columns, strict=True), strict=True))

    def has(self, key: str) -> bool:
        """Whether there is a file of this photo."""
        return key in self._found

    async def describe(self, orig_id: str) -> Facts:
        """What the plan knows of a photo; `orig_id` is its key here."""
        if not self.has(orig_id):
            raise LostError('gone', 'not in the folder')
        source, name, datetime = self._rows[orig_id]
        return Facts(
            address=str(self._found[orig_id]),
            page=photos_mapillary.page_of(name) if source == 'mapillary' else '',
            creator='',
            captured_at=str(datetime),
            licence=_LICENCES.get(source, ''),
            heading=math.nan,
            camera='',
        )

    async def picture(self, facts: Facts) -> Image.Image:
        """The file, unpacked; LostError if it is broken: another may lie there at the next run."""
        path = pathlib.Path(facts.address)
        try:
            return await self._client.in_thread(lambda: photos_images.decode(path.read_bytes()))
        except photos_images.BrokenError as error:
            raise LostError('failed', f'file unreadable: {error}') from None
        except OSError as error:
            raise LostError('failed', f'file unreadable: {error.strerror}') from None


def _find(root: pathlib.Path, photos: pd.DataFrame) -> dict[str, pathlib.Path]:
    """Path of each photo that has a file, by key."""
    names = [photos['key'], photos['key'].map(photos_files.stem)]
    if 'uuid' in photos:
        names.append(photos['uuid'])
    # Ids of different services may be equal: such a name would say nothing.
    names.append(photos['orig_id'][~photos['orig_id'].duplicated(keep=False)])
    files = _files(root, set(pd.concat(names)) - {''})
    found: dict[str, pathlib.Path] = {}
    for name in names:
        for key, path in zip(photos['key'][name.index], map(files.get, name), strict=True):
            if path and found.setdefault(key, path) != path:
                raise InputError(
                    f'{root}: expected one photo of {key}, found {found[key]} and {path}.'
                )
    return found


def _files(root: pathlib.Path, wanted: set[str]) -> dict[str, pathlib.Path]:
    """Path of the file of each of these names, at any depth under the root."""
    if not root.is_dir():
        raise InputError(f'{root}: expected a folder of photos, found none.')
    found: dict[str, pathlib.Path] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = pathlib.Path(folder, name)
            if path.suffix.lower() not in street_photos.SUFFIXES or path.stem not in wanted:
                continue
            if path.stem in found:
                raise InputError(
                    f'{root}: expected one photo of {path.stem}, found {found[path.stem]} and '
                    f'{path}.'
                )
            found[path.stem] = path
    return found
