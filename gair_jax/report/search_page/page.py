"""One HTML page that shows a search and needs nothing but itself.

The page may load nothing: its Content-Security-Policy allows pictures inside the page, and the one
style sheet and the one script whose hashes it names. Text of tables and file names reaches it as
JSON alone and is set as text, never as HTML.

What a click shows is worked out beforehand: for every cell its nearest photos and their cosines, 5
bytes each. Embeddings of cells and photos would be larger (at 768 numbers of one byte, by 25 times
for the 6 photos of a cell), and would bring the photos of a whole gallery into the page.
"""

import base64
import hashlib
import html
import io
import json
import os
import pathlib
import string
from typing import Any

import importlib_resources
import matplotlib
import numpy as np
from jaxtyping import Float
from PIL import Image

from gair_jax.config import InputError
from gair_jax.input import photo_files
from gair_jax.report.search_page.findings import Findings, Hit, ListedPhoto, Lonlat, Query

COLOURS = 'plasma'  # told apart by everyone, and from fields and forests
NO_DATA = 255  # levels of quantised cosines are 0..254
THUMBNAIL, PICTURE = (152, 112), (720, 520)
QUALITY = 72


def write(found: Findings, path: pathlib.Path, *, thumbnails: int) -> int:
    """Writes the page, whole or not at all.

    Args:
      found: what it shows.
      path: of the page.
      thumbnails: photos that are put into it at the most: those that were asked for, then the
        answers, then those that are nearest to most cells.

    Returns:
      Number of photos that should have been put in but cannot be read.
    """
    pictures = _Pictures(found, thumbnails)
    text = _page(found, _data(found, pictures))
    part = path.with_name(path.name + '.part')
    try:
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return pictures.failed


class _Pictures:
    """Photos as data URIs; '' for those that are too many or cannot be read."""

    def __init__(self, found: Findings, most: int) -> None:
        self.failed = 0
        self._photos = found.photos
        asked = [q.photo for q in found.queries if q.photo >= 0]
        hits = [hit.photo for hit in found.hits if hit.photo >= 0]
        near, count = np.unique(found.near.row[found.near.row >= 0], return_counts=True)
        order = [*asked, *hits, *near[np.argsort(-count, kind='stable')].tolist()]
        self._shown = set(list(dict.fromkeys(order))[:most])

    @property
    def shown(self) -> int:
        """How many are put in, if all can be read."""
        return len(self._shown)

    def uri(self, index: int, size: tuple[int, int]) -> str:
        """The photo of that index, within `size`."""
        if index not in self._shown:
            return ''
        if not self._photos[index].file:
            self.failed += bool(self._photos[index].path)
            return ''
        try:
            image = photo_files.read(self._photos[index].file).image
        except InputError:
            self.failed += 1
            return ''
        image.thumbnail(size)
        return _uri(image, 'JPEG', quality=QUALITY, optimize=True)


def _page(found: Findings, data: dict[str, Any]) -> str:
    folder = importlib_resources.files('gair_jax.report.search_page')
    page, style, script = (
        (folder / f'page.{kind}').read_text(encoding='utf-8') for kind in ('html', 'css', 'js')
    )
    return string.Template(page).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_json(data),
        title=html.escape(found.title),
        summary=html.escape(found.summary),
        origin=html.escape(found.origin),
    )


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded, and nothing run but what stands in the page."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; "
        f"script-src 'sha256-{hashes[1]}'; base-uri 'none'; form-action 'none'"
    )


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(',', ':'))
    return text.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e')


def _data(found: Findings, pictures: _Pictures) -> dict[str, Any]:
    ramp = matplotlib.colormaps[COLOURS](np.arange(256), bytes=True)[:, :3]
    places = found.kind == 'places'
    asked = any(query.photo >= 0 for query in found.queries)
    return {
        'kind': found.kind,
        'from': 'where the photo was taken' if asked else 'the place',
        'hitsTitle': 'Most similar places' if places else 'Most similar photos',
        'help': _help(found, pictures.shown),
        'ramp': _base64(ramp),
        'map': _map(found),
        'heats': [_heat(found, index) for index in range(len(found.heats))],
        'near': _near(found),
        'photos': [
            _photo(photo, pictures.uri(i, THUMBNAIL)) for i, photo in enumerate(found.photos)
        ],
        'queries': [_query(found, query, pictures) for query in found.queries],
        'hits': [_hit(found, hit) for hit in found.hits],
    }


def _help(found: Findings, shown: int) -> str:
    if not found.near.row.shape[1]:
        return 'Each number is the place of an answer; places are lon, lat.'
    text = (
        'Click a point to list its nearest photos; on the keyboard, move it with the arrow keys '
        '(with Shift, eight cells at once). A ring marks where a photo is known to have been '
        'taken. Places are lon, lat.'
    )
    if shown < len(found.photos):
        text += f' Of {len(found.photos)} photos, {shown} are here with a picture.'
    return text


def _map(found: Findings) -> dict[str, Any]:
    lattice = np.round(found.map.lattice(), 7).reshape(-1, 2)
    rows, columns = found.heats.shape[1:]
    picture = found.map.picture
    return {
        'name': f'Map of {found.map.name}',
        'picture': _uri(Image.fromarray(picture), 'PNG', optimize=True) if picture.size else '',
        'ground': [round(side, 2) for side in found.map.ground[::-1]],
        'north': round(found.map.north(), 2),
        'rows': rows,
        'columns': columns,
        'lattice': {
            'n': int(np.sqrt(len(lattice))),
            'lon': lattice[:, 0].tolist(),
            'lat': lattice[:, 1].tolist(),
        },
    }


def _heat(found: Findings, index: int) -> dict[str, Any]:
    levels, low, high = quantised(found.heats[index])
    owners = [(item.heat, item.photo) for item in found.queries]
    owners += [(item.heat, item.photo) for item in found.hits]
    photo = dict(owners)[index]
    return {'name': found.photos[photo].id, 'levels': _base64(levels), 'low': low, 'high': high}


def _near(found: Findings) -> dict[str, Any] | None:
    k = found.near.row.shape[1]
    if not k:
        return None
    levels, low, high = quantised(np.where(found.near.row < 0, np.nan, found.near.score))
    photo = np.maximum(found.near.row, 0).astype('<u4')
    return {
        'k': k, 'photo': _base64(photo), 'level': _base64(levels), 'low': low, 'high': high
    }  # fmt: skip


def _photo(photo: ListedPhoto, thumbnail: str) -> dict[str, Any]:
    return {'name': photo.id, 'lonlat': _place(photo.lonlat), 'thumbnail': thumbnail}


def _query(found: Findings, query: Query, pictures: _Pictures) -> dict[str, Any]:
    return {
        'photo': query.photo,
        'heat': query.heat,
        'own': found.map.position(query.lonlat),
        'picture': pictures.uri(query.photo, PICTURE) if query.photo >= 0 else '',
    }


def _hit(found: Findings, hit: Hit) -> dict[str, Any]:
    at = hit.best if np.isfinite(hit.best).all() else hit.lonlat
    own = found.map.position(hit.lonlat) if hit.heat >= 0 else None
    metres, best_score = found.metres(hit), hit.best_score
    return {
        'query': hit.query,
        'rank': hit.rank,
        'score': round(hit.score, 6),
        'photo': hit.photo,
        'heat': hit.heat,
        'lonlat': _place(hit.lonlat),
        'xy': found.map.position(at),
        'own': own,
        'best': _place(hit.best),
        'bestScore': round(best_score, 6) if np.isfinite(best_score) else None,
        'metres': round(metres, 1) if np.isfinite(metres) else None,
    }


def quantised(values: Float[np.ndarray, '...']) -> tuple[np.ndarray, float, float]:
    """Levels 0..254 of values between the lowest and the highest, which are returned too.

    nan is level 255. A value comes back within 1/508 of the range.
    """
    seen = np.isfinite(values)
    low, high = (float(values[seen].min()), float(values[seen].max())) if seen.any() else (0.0, 0.0)
    share = (np.where(seen, values, low) - low) / max(high - low, 1e-12)
    return np.where(seen, np.round(254 * share), NO_DATA).astype(np.uint8), low, high


def _place(lonlat: Lonlat) -> list[float] | None:
    return [round(float(v), 7) for v in lonlat] if np.isfinite(lonlat).all() else None


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _uri(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f'data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}'
