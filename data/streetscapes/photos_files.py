"""Files of photos in a build: their names, how they are made, and how they go."""

import json
import os
import pathlib
import urllib.parse
from collections.abc import Mapping
from typing import Any

from gair_jax.builders.streetscapes import keys, ledger, whole_files
from gair_jax.config import InputError

STAGE = 'fetch-photos'
FOLDER = 'photos'
MOST_VIEWS = 4


def stem(key: str) -> str:
    """The name of a photo's file without its ending: 'mapillary-123' of 'mapillary:123'.

    Names of sources hold no '-', so that no two keys share a name.
    """
    source, _, orig_id = key.partition(':')
    return f'{source}-{urllib.parse.quote(orig_id, safe="")}'


def path_of(key: str, view: int) -> pathlib.Path:
    """Where a photo lies, relative to the build: 'photos/HH/STEM.jpg', '..._VIEW.jpg' of a view.

    Args:
      key: of the photo.
      view: its number in a panorama; -1 for a photo that is none.
    """
    name = stem(key) + (f'_{view}' if view >= 0 else '')
    return pathlib.Path(FOLDER, f'{keys.order(0, key) >> 56:02x}', f'{name}.jpg')


def delete(out: pathlib.Path, key: str) -> None:
    """Removes whatever files there are of a photo, half-written ones too."""
    for view in range(-1, MOST_VIEWS):
        path = out / path_of(key, view)
        path.unlink(missing_ok=True)
        path.with_name(f'.{path.name}.part').unlink(missing_ok=True)


def ledgers(out: pathlib.Path) -> list[pathlib.Path]:
    """The ledgers of all workers of the stage that there are."""
    return sorted((out / 'ledgers').glob(f'{STAGE}-*.sqlite'))


def removed_ids(path: str) -> frozenset[str]:
    """The ids of a file, one a line; none of ''.

    Raises:
      InputError: it cannot be read.
    """
    if not path:
        return frozenset()
    try:
        lines = pathlib.Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read as a list of ids: {_reason(error)}.') from error
    return frozenset(line.strip() for line in lines) - {''}


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or '' if isinstance(error, OSError) else 'it is no UTF-8'


def is_removed(key: str, ids: frozenset[str]) -> bool:
    """Whether a photo is listed, by key or by the id that its service gave it."""
    return key in ids or key.partition(':')[2] in ids


def remove_from(out: pathlib.Path, book: ledger.Ledger, ids: frozenset[str]) -> int:
    """Takes the photos of a ledger whose ids were listed after they were fetched.

    Their files go and their rows say 'dropped: removed', so that others replace them; the number of
    photos that were taken out.
    """
    count = 0
    for entry in book.entries() if ids else ():
        if entry.state == 'kept' and is_removed(entry.key, ids):
            delete(out, entry.key)
            book.settle(entry.key, 'dropped', reason='removed')
            count += 1
    return count


def agree(out: pathlib.Path, how: Mapping[str, Any]) -> None:
    """Notes how photos are made, or refuses to make others beside those that are there.

    Raises:
      InputError: the photos of this build were made in another way.
    """
    path = out / FOLDER / 'how.json'
    try:
        before = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        # All workers come here at once: each writes a file of its own, and the last one stays.
        mine = path.with_suffix(f'.{os.getpid()}')
        whole_files.write(mine, json.dumps(dict(how), indent=1).encode())
        os.replace(mine, path)
        return
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: cannot be read: {error}.') from error
    for name, value in how.items():
        if before.get(name) != value:
            raise InputError(
                f'{path}: expected photos made with {name} {before.get(name)}, as those that are '
                f'there, found {value}; build in another folder.'
            )
