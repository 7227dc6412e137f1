"""Requests to services of photos: at the pace of the bucket, again when they fail in passing.

What an answer means is a verdict; what becomes of a photo without a picture is a `LostError`. Their
texts are ours: addresses are signed and answers may repeat a token, so neither is ever passed on.
"""

import asyncio
import concurrent.futures
import contextlib
import datetime
import email.utils
import functools
import logging
import os
import pathlib
import random
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Literal, NamedTuple, Self, TypeVar

import httpx

from gair_jax.builders.streetscapes import photos_images, photos_limiter

T = TypeVar('T')
Verdict = Literal['fine', 'too many', 'passing', 'gone', 'forbidden', 'wrong']
Judge = Callable[[int, bytes], Verdict]

FIRST_WAIT = 0.5  # seconds after the first failure, doubled with each one more
LONGEST_WAIT = 30.0
MOST_REFUSED = 20  # 'too many' answers to one request; with the bucket's pauses, over an hour
GRACE = 5.0  # seconds; waits no longer than this are waited out after a signal
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class LostError(Exception):
    """There is no picture: what its row in the ledger says."""

    def __init__(self, state: Literal['dropped', 'gone', 'failed'], reason: str) -> None:
        super().__init__(f'{state}: {reason}')
        self.state, self.reason = state, reason


class ForbiddenError(Exception):
    """The service does not give this address out (401 or 403)."""


class AbandonedError(Exception):
    """A signal came; the photo is left for the next run."""


class Answer(NamedTuple):
    """What came of one request: the judge's verdict, our words for it, the body."""

    verdict: Verdict
    reason: str
    body: bytes
    retry_after: float


def by_status(status: int, body: bytes) -> Verdict:
    """The verdict by HTTP's own meaning of the status (RFC 9110, section 15)."""
    del body
    if status == 200:
        return 'fine'
    if status == 429:
        return 'too many'
    if status in (400, 404, 410):
        return 'gone'
    if status in (401, 403):
        return 'forbidden'
    return 'passing' if status == 408 or status >= 500 else 'wrong'


def retry_after(text: str, now: float) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); 0: it says nothing.

    Args:
      text: seconds or a date; '' without the header.
      now: seconds since 1970.
    """
    if text.strip().isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    # A date without a zone is in GMT, as HTTP has no other.
    aware = until if until.tzinfo else until.replace(tzinfo=datetime.UTC)
    return max(0.0, aware.timestamp() - now)


class Client:
    """Connections of one worker process; an asynchronous context manager."""

    def __init__(
        self, buckets: pathlib.Path, rate: float, connections: int, tries: int, seed: str
    ) -> None:
        """Opens nothing yet.

        Args:
          buckets: folder of the buckets that all workers share.
          rate: requests a second to a host, of all workers together.
          connections: requests at a time at most; the caller makes no more.
          tries: of a request that fails in passing.
          seed: of the jitter; another for each worker.
        """
        self._buckets, self._rate, self._tries = buckets, rate, tries
        self._random = random.Random(seed)
        self._open = contextlib.ExitStack()
        self._turns: dict[str, photos_limiter.Turns] = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1)
        self.stopping = asyncio.Event()
        self.requests = self.fetched = 0  # bytes of bodies
        # Photos are compressed already.
        headers = {'Accept-Encoding': 'identity', 'User-Agent': 'gair_jax'}
        # One client a connection: the pool of a client looks at every open connection, with two
        # system calls each, at every request.
        shared, limits = httpx.create_ssl_context(), httpx.Limits(max_keepalive_connections=2)
        self._idle = [
            httpx.AsyncClient(verify=shared, limits=limits, timeout=TIMEOUT, headers=headers)
            for _ in range(connections)
        ]
        for name in ('httpx', 'httpcore'):  # Both log addresses, which are signed.
            logging.getLogger(name).setLevel(logging.WARNING)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for http in self._idle:
            await http.aclose()
        self._threads.shutdown()
        self._open.close()

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Work on pictures, beside the requests; Pillow leaves the interpreter's lock meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def get(
        self,
        address: str,
        parse: Callable[[bytes], T],
        judge: Judge = by_status,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> T:
        """What `parse` makes of the body at an address.

        Args:
          address: http or https.
          parse: raises BrokenError for a body that is not whole, which is asked for again.
          judge: what an answer means, by status and body.
          headers: of the request, sent to no other address.

        Raises:
          LostError: it is gone, or failed too often.
          ForbiddenError: not with these headers, or no longer.
          AbandonedError: a signal came while waiting.
        """
        failures = refusals = 0
        while True:
            answer = await self._ask(address, judge, headers)
            if answer.verdict == 'fine':
                try:
                    return await self.in_thread(functools.partial(parse, answer.body))
                except photos_images.BrokenError as error:
                    answer = answer._replace(verdict='passing', reason=str(error))
            _raise_final(answer)
            refusals += answer.verdict == 'too many'
            failures += answer.verdict == 'passing'
            if failures >= self._tries or refusals >= MOST_REFUSED:
                raise LostError('failed', answer.reason)
            if answer.verdict == 'passing':
                await self.wait(max(answer.retry_after, self._back_off(failures)))

    def _back_off(self, failures: int) -> float:
        """Seconds to wait: doubled with each failure, and drawn from the upper half of that."""
        grown = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
        return grown * (0.5 + self._random.random() / 2)

    async def wait(self, seconds: float) -> None:
        """Sleeps; raises AbandonedError as soon as a signal makes a long wait pointless."""
        if seconds <= GRACE:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
            raise AbandonedError

    def _turns_of(self, address: str) -> photos_limiter.Turns:
        url = httpx.URL(address)
        host = f'{url.host}:{url.port}' if url.port else url.host
        if host not in self._turns:
            path = photos_limiter.path_of(self._buckets, host)
            bucket = self._open.enter_context(photos_limiter.Bucket(path, self._rate))
            self._turns[host] = photos_limiter.Turns(bucket)
        return self._turns[host]

    async def _send(self, address: str, headers: Mapping[str, str]) -> httpx.Response:
        http = self._idle.pop()
        try:
            # Headers with a token must not follow a redirection; pictures may.
            return await http.get(address, headers=headers, follow_redirects=not headers)
        finally:
            self._idle.append(http)

    async def _ask(self, address: str, judge: Judge, headers: Mapping[str, str]) -> Answer:
        """One request, and what the bucket learns from it."""
        try:
            turns = self._turns_of(address)
            await turns.take(self.wait)
            sent = time.time()
            # A body shorter than its Content-Length raises RemoteProtocolError.
            self.requests += 1
            reply = await self._send(address, headers)
            self.fetched += len(reply.content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer('passing', f'no answer: {type(error).__name__}', b'', 0.0)
        verdict, body = judge(reply.status_code, reply.content), reply.content
        after = min(
            retry_after(reply.headers.get('retry-after', ''), time.time()), photos_limiter.LONGEST
        )
        if verdict == 'too many':
            turns.bucket.refused(sent, after, self._random.random())
        else:
            turns.bucket.answered()
        return Answer(verdict, f'status {reply.status_code}', body, after)


def _raise_final(answer: Answer) -> None:
    """Raises what asking again would not change."""
    if answer.verdict == 'gone':
        raise LostError('gone', answer.reason)
    if answer.verdict == 'forbidden':
        raise ForbiddenError(answer.reason)
    if answer.verdict == 'wrong':
        raise LostError('failed', answer.reason)
