"""Whole builds by the command line: what must not change the set, and what must stop the pack."""

import contextlib
import io
import itertools

from gair_jax import cli
from tests.builders.streetscapes import whole
from tests.standins import catalogue, child, made_builds, photo_api
from tests.standins.figure import Figure


class Third(photo_api.PhotoApi):
    """Answers every third request by 503."""

    def __init__(self, **options):
        super().__init__(**options)
        self._turn = itertools.count(1)

    def answer(self, path, authorization):
        if next(self._turn) % 3 == 0:
            return 503, {}, b'', 1.0
        return super().answer(path, authorization)


def same(folder, sizes):
    """Digests that differ from that of the plain build; and the files that a pack misses."""
    plain = _built(folder / 'plain')
    third = _built(folder / 'third', fail_every=3, kind=Third)
    yield Figure(
        'builds that differ, every third request 503', int(third != plain), least=0, most=0
    )
    four = _built(folder / 'four', workers=4)
    yield Figure('builds that differ, by 4 workers at once', int(four != plain), least=0, most=0)
    yield from _refused(folder / 'plain')


def _built(folder, fail_every=0, kind=photo_api.PhotoApi, workers=1):
    """The decoded digest of a build over both stand-ins."""
    whole.table(folder / 'photos.csv')
    with (
        catalogue.serve(whole.scenes(), fail_every=fail_every) as scenes,
        photo_api.serve(kind(token=whole.TOKEN)) as photos,
    ):
        # Requests that fail by turns meet more failures in a row than those that fail by chance.
        command = whole.command(folder, scenes.url, photos.url, '--config.photos.tries=20')
        shares = [[f'--worker={n}/{workers}'] for n in range(workers)] if workers > 1 else []
        begun = [whole.start([*command, *share]) for share in shares]
        for process in begun:
            _fine(*process.wait())
        late = ['--stages=pair,pack', f'--workers={workers}'] if shares else []
        _fine(*whole.run([*command, *late]))
    return whole.digest(folder / 'prepared')


def _fine(code, said, complained):
    del said
    if code:
        raise RuntimeError(f'a build ended with {code}: {complained}')


def _refused(folder):
    """Removed files that `pack` does not notice."""
    out, missed = folder / 'out', 0
    for number, pattern in enumerate(('photos/*/*.jpg', 'scenes/*/*.tif')):
        path = sorted(out.glob(pattern))[0]
        data = path.read_bytes()
        path.unlink()
        command = whole.command(folder, '', 'http://127.0.0.1:9', '--stages=pack')
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            code = cli.main([*command, f'--data-dir={folder / str(number)}'])
        missed += code != 2 or path.name not in said.getvalue()
        path.write_bytes(data)
    yield Figure('removed files that a pack does not notice', missed, 'of 2', least=0, most=0)


def memory(folder, sizes):
    """Most memory of a process that packs, and what three of the set's shards weigh."""
    made_builds.table(folder, sizes.cities, sizes.per_city)
    made_builds.planned(folder)
    made_builds.settled(folder, sizes.dates, True)
    made_builds.paired(folder)
    ran = child.run(made_builds.packed, str(folder), str(folder / 'prepared'))
    shards = [path.stat().st_size for path in (folder / 'prepared').rglob('*.array_record*')]
    if not shards:
        raise RuntimeError(ran.answer)
    weight = f'{sum(shards) / 1e6:.0f} MB, largest shard {max(shards) / 1e6:.0f} MB'
    note = (
        f'{sizes.cities * sizes.per_city} photos, {sizes.cities} tiles x {sizes.dates} dates, '
        f'{weight}, {ran.seconds:.0f} s.'
    )
    most = 0.5 + 3 * max(shards) / 2**30
    yield Figure('memory of pack', ran.peak / 2**30, 'GiB', most=most, note=note)
