"""Photos of Mapillary, API version 4 (mapillary.com/developer/api-documentation).

The token comes from the environment and goes into one header of requests to the API: never into an
address, a file or a message. Originals are never asked for: only what Mapillary has blurred, in
the widths that it makes of it.
"""

import datetime
import json
import math
import os
import urllib.parse
from typing import Any

from PIL import Image

from gair_jax.builders.streetscapes import photos_images
from gair_jax.builders.streetscapes.photos_requests import (
    Client,
    ForbiddenError,
    LostError,
    Verdict,
    by_status,
)
from gair_jax.builders.streetscapes.photos_source import Facts
from gair_jax.config import InputError

TOKEN = 'MAPILLARY_TOKEN'
WIDTHS = (256, 1024, 2048)
LICENCE = 'CC BY-SA 4.0'
_FIELDS = (
    'id',
    'captured_at',
    'compass_angle',
    'computed_compass_angle',
    'camera_type',
    'creator',
)
_CAMERAS = {
    'equirectangular': 'spherical',
    'spherical': 'spherical',
    'fisheye': 'fisheye',
    'None': '',
}
# Of the Graph API's errors: an application's or a user's limit, passing troubles, and tokens.
_TOO_MANY, _PASSING, _TOKEN = (4, 17, 32, 613), (1, 2), (102, 190)


def page_of(orig_id: str) -> str:
    """Where people can look at a photo."""
    return f'https://www.mapillary.com/app/?pKey={urllib.parse.quote(orig_id, safe="")}'


def token_from_environment() -> str:
    """The client token; InputError, which does not repeat it, without a usable one."""
    token = os.environ.get(TOKEN, '').strip()
    if not token:
        raise InputError(
            f'{TOKEN}: expected a client token of Mapillary in the environment, found none.'
        )
    if not (token.isascii() and token.isprintable()) or ' ' in token:
        raise InputError(f'{TOKEN}: expected printable ASCII, found other characters in it.')
    return token


class Mapillary:
    """The service as a source."""

    name = 'mapillary'

    def __init__(self, client: Client, url: str, width: int, token: str) -> None:
        """Asks for nothing yet.

        Args:
          client: connections.
          url: of the API.
          width: of the picture that is asked for, one of WIDTHS.
          token: of the client.

        Raises:
          InputError: there is no such width.
        """
        if width not in WIDTHS:
            raise InputError(f'photos.width: expected 256, 1024 or 2048, found {width}.')
        self._client, self._url = client, url.rstrip('/')
        self._thumbnail = f'thumb_{width}_url'
        self._headers = {'Authorization': f'OAuth {token}'}

    async def describe(self, orig_id: str) -> Facts:
        """Metadata, with an address that expires.

        Raises:
          InputError: the token is refused: no photo will be had with it.
          LostError: unknown, deleted, without a thumbnail, or failed.
        """
        fields = ','.join((*_FIELDS, self._thumbnail))
        address = f'{self._url}/{urllib.parse.quote(orig_id, safe="")}?fields={fields}'
        try:
            found = await self._client.get(address, _parse, judge, self._headers)
        except ForbiddenError as error:
            raise InputError(
                f'{TOKEN}: expected a token that Mapillary accepts, found one that it refuses '
                f'({error}).'
            ) from None
        if not isinstance(found.get(self._thumbnail), str):
            raise LostError('gone', f'no {self._thumbnail}')
        return Facts(
            address=found[self._thumbnail],
            page=page_of(orig_id),
            creator=str((found.get('creator') or {}).get('username', '')),
            captured_at=_time(found.get('captured_at')),
            licence=LICENCE,
            heading=_heading(found),
            camera=_CAMERAS.get(str(found.get('camera_type')), 'perspective'),
        )

    async def picture(self, facts: Facts) -> Image.Image:
        """The thumbnail; without the token, which its host has no use for."""
        return await self._client.get(facts.address, photos_images.from_service)


def judge(status: int, body: bytes) -> Verdict:
    """The verdict by the error's code, which tells more than the status.

    A refused token may come as 400, which must never be read as 'no such photo'; nor may a page of
    some other server, which has no error of this shape.
    """
    if status == 200:
        return 'fine'
    error = _error(body)
    code = error.get('code')
    if code in _TOO_MANY:
        return 'too many'
    if code in _TOKEN:
        return 'forbidden'
    if code in _PASSING or error.get('is_transient') is True:
        return 'passing'
    verdict = by_status(status, body)
    if verdict == 'gone' and not error:
        return 'wrong'
    # 403 without such a code is about this photo alone.
    return 'wrong' if status == 403 else verdict


def _error(body: bytes) -> dict[str, Any]:
    """The inner part of {'error': {...}}; empty where the body is anything else."""
    try:
        error = json.loads(body)['error']
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise photos_images.BrokenError('metadata that are no JSON') from error
    if not isinstance(found, dict):
        raise photos_images.BrokenError('metadata that are no JSON object')
    return found


def _time(milliseconds: Any) -> str:
    """ISO 8601 in UTC of milliseconds since 1970."""
    if not isinstance(milliseconds, int | float):
        return ''
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec='milliseconds')


def _heading(found: dict[str, Any]) -> float:
    """The computed compass angle if there is one, else the phone's; degrees in [0, 360)."""
    for name in ('computed_compass_angle', 'compass_angle'):
        if isinstance(found.get(name), int | float):
            return float(found[name]) % 360
    return math.nan
