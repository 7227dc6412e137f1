"""Photos of KartaView, API version 2.0 (formerly OpenStreetCam).

Only photos whose faces and plates the service has blurred, and that it shows to everybody.
"""

import json
import math
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

LICENCE = 'CC BY-SA'
FINE = 600  # apiCode of an answer without fault
NO_CODE = -1
_PICTURE = 'fileurlProc'  # The blurred one; of thumbnails nobody says whether they are.


def page_of(sequence: str, index: str) -> str:
    """Where people can look at a photo; '' if its sequence is unknown."""
    return f'https://kartaview.org/details/{sequence}/{index}' if sequence and index else ''


class KartaView:
    """The service as a source."""

    name = 'kartaview'

    def __init__(self, client: Client, url: str) -> None:
        """Asks for nothing yet.

        Args:
          client: connections.
          url: of the API.
        """
        self._client, self._url = client, url.rstrip('/')

    async def describe(self, orig_id: str) -> Facts:
        """Metadata; LostError if the photo is unknown, not blurred, not public, or failed."""
        address = f'{self._url}/2.0/photo/?id={urllib.parse.quote(orig_id, safe="")}'
        try:
            found = await self._client.get(address, parse, judge)
        except ForbiddenError as error:
            raise LostError('failed', f'forbidden: {error}') from None
        if found.get('autoImgProcessingResult') != 'BLURRED':
            raise LostError('dropped', 'not blurred')
        if found.get('visibility') != 'public':
            raise LostError('dropped', 'not public')
        if not isinstance(found.get(_PICTURE), str):
            raise LostError('gone', f'no {_PICTURE}')
        return Facts(
            address=found[_PICTURE],
            page=page_of(str(found.get('sequenceId', '')), str(found.get('sequenceIndex', ''))),
            creator='',
            captured_at=str(found.get('shotDate') or ''),
            licence=LICENCE,
            heading=_heading(found.get('heading')),
            camera='',
        )

    async def picture(self, facts: Facts) -> Image.Image:
        """The blurred picture."""
        return await self._client.get(facts.address, photos_images.from_service)


def judge(status: int, body: bytes) -> Verdict:
    """The verdict by status; 'gone' only of an answer of this service, not of any server's page."""
    verdict = by_status(status, body)
    return 'wrong' if verdict == 'gone' and _code(body) == NO_CODE else verdict


def parse(body: bytes) -> dict[str, Any]:
    """The one photo of an answer.

    Raises:
      LostError: the answer has none, or says that something is wrong.
      BrokenError: it is no answer of this service.
    """
    code = _code(body)
    if code == NO_CODE:
        raise photos_images.BrokenError('metadata of another shape')
    if code != FINE:
        raise LostError('failed', f'apiCode {code}')
    data = (json.loads(body).get('result') or {}).get('data') or []
    found = data[:1] if isinstance(data, list) else [data]
    if not found or not isinstance(found[0], dict):
        raise LostError('gone', 'no such photo')
    return found[0]


def _code(body: bytes) -> int:
    """The apiCode of an answer; NO_CODE if it has none."""
    try:
        return int(json.loads(body)['status']['apiCode'])
    except (ValueError, KeyError, TypeError):
        return NO_CODE


def _heading(value: Any) -> float:
    """Degrees in [0, 360); nan unknown. The service writes numbers as text."""
    try:
        heading = float(value)
    except (TypeError, ValueError):
        return math.nan
    return heading % 360 if math.isfinite(heading) else math.nan
