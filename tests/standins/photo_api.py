"""Services of street photos on loopback: Mapillary's `/{id}` and KartaView's `/2.0/photo/`.

Faults are a function of the id, so that a run can be repeated; `by_hash` gives the mix of the
specification. Answers are filled into the hand-written shapes of tests/fixtures. A fault of FAULTS
that ends in ' once' goes away after the first request that meets it.
"""

import collections
import contextlib
import hashlib
import http.server
import io
import json
import pathlib
import threading
import time
import urllib.parse

import numpy as np
from PIL import Image

SHAPES = pathlib.Path(__file__).resolve().parents[1] / 'fixtures' / 'streetscapes'
FAULTS = {  # by the request that they strike
    'facts': ('gone', 'deleted', 'error', 'reset', 'limit', 'private', 'page', 'not blurred')
    + ('not public', 'no picture', 'too big'),
    'picture': ('expired', 'cut', 'html', 'missing', 'broken', 'slow down', 'busy', 'moved'),
}
GONE = {
    'error': {'message': 'Unsupported get request.', 'type': 'GraphMethodException', 'code': 100}
}
LIMIT = {'error': {'message': 'Application request limit reached', 'code': 4, 'is_transient': True}}
TOKEN = {'error': {'message': 'Invalid OAuth access token', 'type': 'OAuthException', 'code': 190}}


def by_hash(name):
    """2 % gone, 3 % one 500, 2 % an address expired once, 2 % a body cut once."""
    place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
    kinds = ['gone'] * 2 + ['error once'] * 3 + ['expired once'] * 2 + ['cut once'] * 2
    return kinds[place] if place < len(kinds) else ''


def made(name, size=(360, 240)):
    """A JPEG that is another for every id."""
    seed = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2**32
    small = np.random.default_rng(seed).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize(size).save(buffer, 'JPEG', quality=90)
    return buffer.getvalue()


class PhotoApi:
    """What is served and what was asked; `url` is set by `serve`.

    picture: id -> bytes of its JPEG.
    fault: id -> '' or one of FAULTS, which may end in ' once'.
    camera: id -> camera_type.
    facts: id -> fields of Mapillary's answer that are others than those of the fixture.
    token: that requests for facts must bring and others must not; '' asks for none.
    limit: requests a second that are answered, 0 for all; a tenth of a second's worth may pile up.
    retry_after: header of the answers to those that are not; '' for none.
    log: (seconds, kind, id, status) of every request.
    """

    def __init__(
        self,
        *,
        picture=made,
        fault=by_hash,
        camera=lambda name: 'perspective',
        facts=lambda name: {},
        token='',
        limit=0.0,
        retry_after='',
        delay=0.0,
    ):
        self.picture, self.fault, self.camera, self.token = picture, fault, camera, token
        self.facts, self.limit, self.retry_after, self.delay = facts, limit, retry_after, delay
        self.log, self.met, self.leaks = [], collections.Counter(), []
        self.lock, self.url, self.serial = threading.Lock(), '', 0
        self._tokens, self._filled = 0.0, time.monotonic()

    def asked(self, kind):
        """How often each id was asked for, refusals left out."""
        with self.lock:
            rows = [name for _, what, name, status in self.log if what == kind and status != 429]
        return collections.Counter(rows)

    def statuses(self):
        with self.lock:
            return collections.Counter(status for *_, status in self.log)

    def answer(self, path, authorization):
        """(status, headers, body, share of the body that is sent) of a request."""
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query))
        kind, name, reply = self._route(url.path, query)
        with self.lock:
            status, headers, body, share = self._reply(kind, name, query, authorization, reply)
            self.log.append((time.monotonic(), kind, name, status))
        return status, headers, body, share

    def _route(self, path, query):
        if path.startswith('/img/'):
            return 'picture', path.removeprefix('/img/'), self._picture
        if path.startswith('/2.0/photo/'):
            return 'facts', query['id'], self._kartaview
        return 'facts', urllib.parse.unquote(path.removeprefix('/')), self._mapillary

    def _reply(self, kind, name, query, authorization, reply):
        if not self._admit():
            return self._busy()
        if reply != self._mapillary and authorization:
            self.leaks.append(name)
        if reply == self._mapillary and self.token and authorization != f'OAuth {self.token}':
            return 400, {}, json.dumps(TOKEN).encode(), 1.0
        fault, _, once = self.fault(name).partition(' once')
        once = self.fault(name).endswith(' once')
        if fault not in FAULTS[kind] or (once and self.met[name]) or name.endswith('-there'):
            fault = ''
        self.met[name] += bool(fault)
        return reply(name, query, fault)

    def _busy(self):
        return 429, {'Retry-After': self.retry_after} if self.retry_after else {}, b'', 1.0

    def _admit(self):
        if not self.limit:
            return True
        now = time.monotonic()
        grown = self._tokens + (now - self._filled) * self.limit
        self._tokens, self._filled = min(grown, max(1.0, self.limit / 10)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _address(self, name):
        self.serial += 1
        return f'{self.url}/img/{name}?exp={self.serial}'

    def _mapillary(self, name, query, fault):
        status, body = {
            'gone': (400, json.dumps(GONE)),
            'deleted': (404, json.dumps(GONE)),
            'error': (500, 'no'),
            'limit': (400, json.dumps(LIMIT)),
            'private': (403, json.dumps(GONE)),
            'page': (404, '<html>Not Found</html>'),
            'reset': (0, ''),
        }.get(fault, (200, ''))
        if status == 200:
            found = json.loads((SHAPES / 'photo_mapillary_image.json').read_text())
            found |= {'id': name, 'camera_type': self.camera(name), **self.facts(name)}
            for width in (256, 1024, 2048):
                found[f'thumb_{width}_url'] = self._address(name)
            fields = query['fields'].split(',')  # without it, the service says next to nothing
            found = {field: found[field] for field in fields}
            if fault == 'no picture':
                found = {field: value for field, value in found.items() if 'thumb' not in field}
            body = json.dumps(found)
        return status, {'Content-Type': 'application/json'}, body.encode(), 1.0

    def _kartaview(self, name, query, fault):
        del query
        if fault in ('error', 'reset', 'page'):
            status = {'error': 500, 'reset': 0, 'page': 404}[fault]
            return status, {}, b'<html>no</html>', 1.0
        answer = json.loads((SHAPES / 'photo_kartaview_photo.json').read_text())
        photo = answer['result']['data'][0]
        photo |= {'id': name, 'fileurlProc': self._address(name)}
        photo['autoImgProcessingResult'] = 'ORIGINAL' if fault == 'not blurred' else 'BLURRED'
        photo['visibility'] = 'private' if fault == 'not public' else 'public'
        if fault == 'no picture':
            del photo['fileurlProc']
        if fault == 'gone':
            answer['result']['data'] = []
        if fault == 'too big':
            answer['status']['apiCode'] = 610
        return 200, {}, json.dumps(answer).encode(), 1.0

    def _picture(self, name, query, fault):
        headers = {'Content-Type': 'image/jpeg'}
        if fault == 'expired':
            return 403, {}, b'URL signature expired', 1.0
        if fault == 'busy':
            return self._busy()
        if fault == 'missing':
            return 404, {}, b'', 1.0
        if fault == 'slow down':
            return 503, {'Retry-After': '1'}, b'', 1.0
        if fault == 'moved':
            return 302, {'Location': f'/img/{name}-there?{urllib.parse.urlencode(query)}'}, b'', 1.0
        if fault == 'html':
            return 200, {'Content-Type': 'text/html'}, b'<html>Please log in</html>', 1.0
        body = self.picture(name.removesuffix('-there'))
        if fault == 'broken':  # of the right length, but half of it is missing
            body = body[: len(body) // 2] + bytes(len(body) - len(body) // 2)
        return 200, headers, body, 0.6 if fault == 'cut' else 1.0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_GET(self):
        api = self.server.api
        time.sleep(api.delay)
        authorization = self.headers.get('Authorization', '')
        status, headers, body, share = api.answer(self.path, authorization)
        if not status:  # the connection is closed without a word
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)])
        self.close_connection |= share < 1

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """Clients that are killed leave their connections open: no news here."""


@contextlib.contextmanager
def serve(api=None, port=0):
    """Serves until the context is left; gives the `PhotoApi`, whose `url` is then set."""
    api = api or PhotoApi()
    server = _Server(('127.0.0.1', port), _Handler)
    server.api, api.url = api, f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.05})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
