"""Signatures of Planetary Computer: asked for when a file is opened, kept in memory only.

A token belongs to a storage account and container, and lasts for 45 minutes to some hours. It goes
into the address, so no message of whoever opens that address may be shown as it is.
"""

import datetime
import json
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from gair_jax.builders.streetscapes.scenes_source import SourceError

TIMEOUT = 60.0  # seconds
TRIES = 6
SPARE = 300.0  # seconds before its end at which a token is old
PASSING = (429, 500, 502, 503, 504)


class Signer:
    """Signs addresses, from several threads; `url` '' leaves them as they are."""

    def __init__(self, url: str, delay: float) -> None:
        self._url, self._delay = url, delay
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}

    @property
    def signs(self) -> bool:
        """Whether addresses are signed at all."""
        return bool(self._url)

    def signed(self, href: str) -> str:
        """The address with a token; SourceError where none is to be had."""
        if not self._url:
            return href
        with self._lock:
            container = _container(href)
            token, ends = self._tokens.get(container, ('', 0.0))
            if time.time() > ends - SPARE:
                token, ends = self._ask(container)
                self._tokens[container] = (token, ends)
        return f'{href}?{token}'

    def refused(self, href: str) -> None:
        """A store did not take the token of this address: the next one is asked for anew."""
        with self._lock:
            self._tokens.pop(_container(href), None)

    def _ask(self, container: str) -> tuple[str, float]:
        """A token and when it ends, in seconds since 1970."""
        address, said = f'{self._url}/{container}', ''
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._delay * 2**attempt)
            try:
                with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
                    found = json.load(answer)
                ends = datetime.datetime.fromisoformat(found['msft:expiry']).timestamp()
                return found['token'], ends
            except urllib.error.HTTPError as error:
                said = f'status {error.code}'
                if error.code not in PASSING:
                    break
            except (OSError, ValueError, KeyError) as error:
                said = type(error).__name__
        raise SourceError(f'no signature from {address}: {said}')


def _container(href: str) -> str:
    """'account/container' of https://account.store/container/path."""
    parts = urlsplit(href)
    return f'{(parts.hostname or "").partition(".")[0]}/{parts.path.split("/")[1]}'
