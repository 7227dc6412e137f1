"""A STAC catalogue and its store of cloud-optimised GeoTIFFs on loopback.

It pages by token, answers ranges, can fail every n-th request, ask for signatures and forget them,
and counts requests and bytes. Items are filled into the hand-written shapes of tests/fixtures.
"""

import contextlib
import datetime
import functools
import http.server
import json
import re
import secrets
import threading
import urllib.parse

import pyproj

from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL
from tests.standins import scene_files
from tests.standins.scene_files import Scene
from tests.standins.scene_items import feature

CONFORMS = [
    'https://api.stacspec.org/v1.0.0/core',
    'https://api.stacspec.org/v1.0.0/item-search',
    'https://api.stacspec.org/v1.0.0/item-search#query',
]


class Catalogue:
    """What is served, and what was asked; `url` is set by `serve`.

    `outage` may be set to the number of coming requests that are answered by 503.
    """

    def __init__(self, scenes, *, block, fail_every, page, most, counts, token_uses):
        self.scenes = {scene.id: scene for scene in scenes}
        assert len(self.scenes) == len(scenes), 'scenes of one id'
        self.block, self.page, self.most, self.counts = block, page, most, counts
        self.fail_every, self.token_uses = fail_every, token_uses
        self.lock, self.url = threading.Lock(), ''
        self.requests = self.bytes = self.asked = self.tokens = self.uses = self.outage = 0
        # GDAL keeps what it read by address: files of another catalogue must have other ones.
        self.run = secrets.token_hex(4)
        self.log = []
        self.file = functools.lru_cache(maxsize=4096)(self._file)

    def _file(self, name, band):
        return scene_files.cog(self.scenes[name], band, self.block)

    def warm(self):
        """Makes all files beforehand, so that waiting for them is not measured."""
        for scene in self.scenes.values():
            for band in (*BANDS, SCL):
                self.file(scene.id, band)

    def forget(self):
        """Sets the counters to zero."""
        with self.lock:
            self.requests = self.bytes = 0
            self.log.clear()

    def fails(self):
        """Whether this request is to be answered by 503."""
        with self.lock:
            self.asked += 1
            if self.outage:
                self.outage -= 1
                return True
            return bool(self.fail_every) and self.asked % self.fail_every == 0

    def note(self, method, path, status, size):
        with self.lock:
            self.requests += 1
            self.bytes += size
            self.log.append((method, path, status, size))

    def token(self):
        """A new token; the one before is not taken any more."""
        with self.lock:
            self.tokens, self.uses = self.tokens + 1, 0
            return f'sig=secret{self.tokens}'

    def takes(self, query):
        """Whether a file may be read with this query; a token is good for `token_uses` reads."""
        if not self.token_uses:
            return True
        with self.lock:
            self.uses += 1
            return query == f'sig=secret{self.tokens}' and self.uses <= self.token_uses


def _meets(a, b):
    """Whether two boxes in degrees meet; one that crosses the antimeridian is taken apart."""
    if b[0] > b[2]:
        return _meets(a, [b[0], b[1], 180, b[3]]) or _meets(a, [-180, b[1], b[2], b[3]])
    if a[0] > a[2]:
        return _meets(b, a)
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _time(text):
    return datetime.datetime.fromisoformat(text)


def found(catalogue, asked):
    """Features that answer a search, by time."""
    start, _, end = asked['datetime'].partition('/')
    less = asked.get('query', {}).get('eo:cloud_cover', {}).get('lt', 101)
    features = [feature(scene, catalogue.url, catalogue.run) for scene in catalogue.scenes.values()]
    good = [
        one
        for one in features
        if _time(start) <= _time(one['properties']['datetime']) <= _time(end)
        and one['properties']['eo:cloud_cover'] < less
        and _meets(one['bbox'], asked['bbox'])
    ]
    good.sort(key=lambda one: (one['properties']['datetime'], one['id']))
    return good[: catalogue.most]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    @property
    def catalogue(self):
        return self.server.catalogue

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self._get()

    def do_GET(self):
        self._get()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        if self.catalogue.fails():
            self._send(503, b'busy')
        else:
            self._send_json(self._page(asked))

    def _get(self):
        parts = urllib.parse.urlsplit(self.path)
        if self.catalogue.fails():
            self._send(503, b'busy')
        elif match := re.fullmatch(r'/cog/\w+/(.+)/(\w+)\.tif', parts.path):
            self._send_file(match[1], match[2], parts.query)
        elif parts.path.startswith('/sas/'):
            ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
            token = self.catalogue.token()
            self._send_json({'token': token, 'msft:expiry': ends.isoformat()})
        else:
            self._send_json(self._landing())

    def _landing(self):
        search = {'rel': 'search', 'type': 'application/geo+json', 'method': 'POST'}
        links = [
            {'rel': 'self', 'href': self.catalogue.url},
            {'rel': 'root', 'href': self.catalogue.url},
            {**search, 'href': f'{self.catalogue.url}/search'},
        ]
        about = {'type': 'Catalog', 'id': 'standin', 'description': 'a stand-in'}
        return {**about, 'stac_version': '1.0.0', 'conformsTo': CONFORMS, 'links': links}

    def _page(self, asked):
        features = found(self.catalogue, asked)
        start = int(asked.get('token', 0))
        end = start + min(asked['limit'], self.catalogue.page)
        answer = {'type': 'FeatureCollection', 'features': features[start:end], 'links': []}
        if self.catalogue.counts:
            answer['numberMatched'] = len(features)
        if end < len(features):
            link = {'rel': 'next', 'method': 'POST', 'href': f'{self.catalogue.url}/search'}
            answer['links'] = [{**link, 'body': {**asked, 'token': str(end)}}]
        return answer

    def _send_file(self, name, band, query):
        scene = self.catalogue.scenes.get(name)
        if not self.catalogue.takes(query):
            self._send(403, b'no')
        elif scene is None or band in scene.absent:
            self._send(404, b'none')
        else:
            self._send_range(self.catalogue.file(name, band))

    def _send_range(self, whole):
        match = re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('Range', ''))
        if not match:
            return self._send(200, whole)
        start = int(match[1])
        end = min(int(match[2]) if match[2] else len(whole) - 1, len(whole) - 1)
        if start >= len(whole):
            return self._send(416, b'', {'Content-Range': f'bytes */{len(whole)}'})
        span = {'Content-Range': f'bytes {start}-{end}/{len(whole)}'}
        return self._send(206, whole[start : end + 1], span)

    def _send_json(self, value):
        self._send(200, json.dumps(value).encode(), {'Content-Type': 'application/json'})

    def _send(self, status, body, headers=None):
        size = 0 if self.command == 'HEAD' else len(body)
        self.catalogue.note(self.command, self.path, status, size)
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('Accept-Ranges', 'bytes')
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if size:
            self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    # A reader that has seen enough closes the connection.
    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def serve(
    scenes,
    *,
    port=0,
    block=256,
    fail_every=0,
    page=100,
    most=10**9,
    counts=True,
    token_uses=0,
):
    """Serves scenes on 127.0.0.1 until the context ends, and yields the `Catalogue`.

    Args:
      scenes: `Scene`s of distinct ids.
      port: 0: any.
      block: side of the files' blocks, pixels.
      fail_every: each n-th request is answered by 503; 0: none.
      page: items a page at most.
      most: results of one search at most, silently.
      counts: whether a page says how many there are.
      token_uses: reads that a signature is good for; 0: none is asked for.
    """
    options = {'block': block, 'fail_every': fail_every, 'page': page, 'most': most}
    catalogue = Catalogue(scenes, **options, counts=counts, token_uses=token_uses)
    with _Server(('127.0.0.1', port), _Handler) as server:
        server.catalogue = catalogue
        catalogue.url = f'http://127.0.0.1:{server.server_address[1]}'
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield catalogue
        finally:
            server.shutdown()
            thread.join()


def scene_around(lon, lat, date, *, side=512, **fields):
    """A `Scene` of `side` pixels of 10 m with this place in its middle, snapped to 20 m."""
    zone = int((lon + 180) // 6) + 1
    epsg = (32600 if lat >= 0 else 32700) + zone
    x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    left, top = ((v // 20 + way * (side // 4)) * 20 for v, way in ((x, -1), (y, 1)))
    fields = {'mgrs': f'{zone:02d}{"N" if lat >= 0 else "M"}AA', **fields}
    return Scene(date=date, left=left, top=top, side=side, epsg=epsg, **fields)
