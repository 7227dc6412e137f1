"""Photos: how many a second, how close to a limit, and in how much memory."""

from tests.standins import child, made_builds, photo_server
from tests.standins.figure import Figure

FAULTS = '2 % gone, 3 % one 500, 2 % expired and 2 % cut once'
SMALL = (192, 144)  # pixels: where requests count and not pictures


def speed(folder, sizes):
    """Photos a second, of the size that services send and of one that costs nothing."""
    shared = 'The server has a process of its own and the same cores; '
    for name, size in (('', sizes.picture), (' of a small size', SMALL)):
        count = sizes.photos
        with photo_server.serve(size=size) as server:
            ran, counts = _fetched(folder / f'{size[0]}', count, server.url)
        note = f'{size[0]} x {size[1]} px, {FAULTS}; {ran.cpu / count * 1e3:.1f} ms of CPU a photo.'
        least = {'least': 100} if not name else {}
        yield Figure(
            f'photos{name}, 32 connections', counts['kept'] / ran.seconds, 'a second', **least,
            note=(shared if not name else '') + note,
        )  # fmt: skip
        yield Figure(
            f'photos{name} that were lost and not gone', _lost(counts, count), least=0, most=0
        )


def below(folder, sizes):
    """A bucket below the service's limit is never refused."""
    with photo_server.serve(limit=sizes.limit, size=SMALL) as server:
        rate = sizes.limit * 140 / 150
        _, counts = _fetched(folder / 'below', sizes.below, server.url, rate)
        asked = server.asked()
    what = f'{rate:.0f}/s against {sizes.limit:.0f}/s'
    yield Figure(f'refusals of a bucket of {what}', asked.refused(), least=0, most=0)
    yield Figure(f'requests of a bucket of {what}', asked.answered() / asked.seconds, 'a second')
    yield Figure(f'photos lost by a bucket of {what}', _lost(counts, sizes.below), least=0, most=0)


def above(folder, sizes):
    """A bucket set three times too high loses nothing and reaches most of the limit."""
    with photo_server.serve(limit=sizes.limit, size=SMALL) as server:
        _, counts = _fetched(folder / 'above', sizes.above, server.url, 3 * sizes.limit)
        asked = server.asked()
    reached = asked.answered() / asked.seconds / sizes.limit
    note = f'{asked.refused()} refusals of {sum(asked.statuses.values())} requests.'
    unit = f'of {sizes.limit:.0f} a second'
    yield Figure('rate of a bucket 3 x too high, by the limit', reached, unit, least=0.8, note=note)
    yield Figure('photos lost by it', _lost(counts, sizes.above), least=0, most=0)


def memory(folder, sizes):
    """Most memory with the largest pictures that can be asked for, a fifth of them panoramas."""
    width, count = sizes.picture[0] * 2, sizes.photos // 24 * 4 + 8
    with photo_server.serve(size=(width, sizes.picture[1] * 2), panoramas=5) as server:
        ran, counts = _fetched(folder / 'large', count, server.url, width=2048)
    assert not _lost(counts, count), counts
    yield Figure('memory of fetch-photos', ran.peak / 2**30, 'GiB', most=1, note=(
        f'{width} px wide, a fifth panoramas of four views; a small plan (see that of a million).'
    ))  # fmt: skip


def _fetched(folder, count, url, rate=1e5, width=1024):
    """A plan of so many photos, fetched in a process of its own: how it ran, and its counts."""
    made_builds.plan_photos(folder, count)
    ran = child.run(made_builds.fetched, str(folder), url, rate, width)
    return ran, ran.answer


def _lost(counts, count):
    """Photos that should be there or be known to be gone."""
    return count - counts['kept'] - counts['gone']
