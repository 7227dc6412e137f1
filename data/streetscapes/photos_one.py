"""One photo, from its key to what the ledger is to say of it."""

import datetime
import functools
import pathlib

import pandas as pd

from gair_jax.builders.streetscapes import photos_make, photos_requests, photos_source
from gair_jax.builders.streetscapes.photos_folder import Folder
from gair_jax.builders.streetscapes.photos_kartaview import KartaView
from gair_jax.builders.streetscapes.photos_mapillary import Mapillary, token_from_environment
from gair_jax.builders.streetscapes.photos_share import Outcome, lost
from gair_jax.builders.streetscapes.settings import PhotosConfig
from gair_jax.config import InputError


class Photos:
    """The photos of a plan and their sources: the folder first, then the service they are of."""

    def __init__(
        self,
        client: photos_requests.Client,
        config: PhotosConfig,
        rows: pd.DataFrame,
        out: pathlib.Path,
        how: photos_make.How,
    ) -> None:
        """Looks through the folder; asks no service yet.

        Args:
          client: connections and threads.
          config: where photos are.
          rows: the plan.
          out: folder of the build.
          how: what is made of a photo.

        Raises:
          InputError: the folder cannot be used.
        """
        self._client, self._config, self._out, self._how = client, config, out, how
        self._folder = Folder(client, config.folder, rows)
        # Columns, not a million tuples.
        self._at = {key: number for number, key in enumerate(rows['key'])}
        self._columns = [rows[name].array for name in photos_make.Planned._fields]

    async def outcome(self, key: str) -> Outcome:
        """Fetches a photo; AbandonedError if a signal came first, InputError if none can be had."""
        at = self._at[key]
        photo = photos_make.Planned(*(column[at] for column in self._columns))
        source, name = self._source_of(photo)
        try:
            facts, image = await photos_source.take(source, name)
            make = functools.partial(photos_make.shots, image, photo, facts.camera, self._how)
            shots = await self._client.in_thread(make)
            store = functools.partial(photos_make.store, self._out, photo, shots)
            sha256, size = await self._client.in_thread(store)
        except photos_requests.LostError as error:
            return lost(key, error.state, error.reason)
        record = photos_make.record(photo, facts, shots, self._how)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        record |= {'fetched_at': now, 'fetched_from': source.name}
        return Outcome(key, 'kept', '', sha256, size, record)

    def _source_of(self, photo: photos_make.Planned) -> tuple[photos_source.Source, str]:
        """The source that is asked for a photo, and the photo's name there."""
        if photo.source == 'folder' or self._folder.has(photo.key):
            return self._folder, photo.key
        return (self._mapillary if photo.source == 'mapillary' else self._kartaview), photo.orig_id

    @functools.cached_property
    def _mapillary(self) -> Mapillary:
        # Only now: who has all photos at hand needs no token.
        url = self._address('mapillary_url')
        return Mapillary(self._client, url, self._config.width, token_from_environment())

    @functools.cached_property
    def _kartaview(self) -> KartaView:
        return KartaView(self._client, self._address('kartaview_url'))

    def _address(self, name: str) -> str:
        """The address of a service; InputError where it is none, before every photo fails of it."""
        url = str(getattr(self._config, name))
        if not url.startswith(('http://', 'https://')):
            raise InputError(f'photos.{name}: expected an address with https://, found {url!r}.')
        return url
