"""The stand-in of photo services in a process of its own, so that its work is not the client's.

    python -m tests.standins.photo_server '{"limit": 150}'

prints its address; then, for each line that it is given, what it was asked so far as JSON.
"""

import contextlib
import functools
import io
import json
import subprocess
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.standins import child, photo_api

PICTURES = 16  # that photos share


class Asked(NamedTuple):
    """What was asked so far.

    statuses: number of answers by status, as text. seconds: from the first to the last.
    """

    statuses: dict[str, int]
    seconds: float

    def refused(self):
        return self.statuses.get('429', 0)

    def answered(self):
        return sum(self.statuses.values()) - self.refused()


class Server:
    """A running server."""

    def __init__(self, process):
        self._process = process
        self.url = process.stdout.readline().strip()

    def asked(self):
        """What it was `Asked` since it began."""
        self._process.stdin.write('\n')
        self._process.stdin.flush()
        return Asked(*json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def serve(**options):
    """Serves until the context is left; options as of `_main`."""
    line = [sys.executable, '-m', 'tests.standins.photo_server', json.dumps(options)]
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
    with subprocess.Popen(line, cwd=child.ROOT, **pipes) as process:
        yield Server(process)
        process.stdin.close()


def _main(*, limit=0.0, size=(192, 144), faults=True, panoramas=0):
    """Serves photos of a size in pixels, each `panoramas`-th id a panorama of half its width."""
    pictures = [jpeg(picture(n, size)) for n in range(PICTURES)]
    wide = jpeg(picture(0, (size[0], size[0] // 2))) if panoramas else b''
    spherical = lambda name: bool(panoramas) and int(name) % panoramas == 0  # noqa: E731
    api = photo_api.PhotoApi(
        picture=lambda name: wide if spherical(name) else pictures[int(name) % PICTURES],
        camera=lambda name: 'spherical' if spherical(name) else 'perspective',
        fault=functools.cache(photo_api.by_hash) if faults else lambda name: '',
        token=child.TOKEN,
        limit=limit,
    )
    with photo_api.serve(api):
        print(api.url, flush=True)
        for _ in sys.stdin:
            times = [row[0] for row in api.log]
            seconds = times[-1] - times[0] if times else 0.0
            print(json.dumps([dict(api.statuses()), seconds]), flush=True)


def picture(number, size):
    """Patches of colour under grain that makes a file of about two bits a pixel, as photos have."""
    rng = np.random.default_rng(number)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8))
    grain = rng.normal(0, 8, (size[1], size[0], 1))
    pixels = np.asarray(small.resize(size, Image.Resampling.BICUBIC)) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def jpeg(image):
    """The bytes of a picture at quality 90."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=90)
    return buffer.getvalue()


if __name__ == '__main__':
    _main(**json.loads(sys.argv[1]))
