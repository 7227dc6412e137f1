"""What every source of photos does: say what it knows of a photo, then give its picture."""

from typing import NamedTuple, Protocol

from PIL import Image

from gair_jax.builders.streetscapes import photos_requests

RENEWALS = 2  # new addresses for a picture whose address has expired


class Facts(NamedTuple):
    """What a source says of a photo.

    address: of the picture; may expire and is never stored.
    page: where people can look at the photo; '' unknown.
    creator: name; '' unknown.
    captured_at: ISO 8601, '' unknown.
    licence: '' unknown.
    heading: degrees clockwise from north; nan unknown.
    camera: 'perspective', 'fisheye', 'spherical' or '' unknown.
    """

    address: str
    page: str
    creator: str
    captured_at: str
    licence: str
    heading: float
    camera: str


class Source(Protocol):
    """A service, or a folder.

    name: as in the record of a photo.
    """

    name: str

    async def describe(self, orig_id: str) -> Facts:
        """What is known of a photo; LostError if it is not to be had or not to be used."""
        ...

    async def picture(self, facts: Facts) -> Image.Image:
        """The picture itself, upright, RGB; ForbiddenError if the address has expired."""
        ...


async def take(source: Source, orig_id: str) -> tuple[Facts, Image.Image]:
    """A photo with what is known of it.

    The picture is asked for at once, because its address expires; if it has, a new one is asked
    for, `RENEWALS` times.

    Raises:
      LostError: there is no picture.
    """
    for _ in range(1 + RENEWALS):
        facts = await source.describe(orig_id)
        try:
            return facts, await source.picture(facts)
        except photos_requests.ForbiddenError:
            continue
    raise photos_requests.LostError('failed', f'forbidden: {1 + RENEWALS} addresses had expired')
