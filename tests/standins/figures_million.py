"""A plan as large as the paper's: what the stages that hold tables take for it."""

from tests.standins import child, made_builds, photo_server
from tests.standins.figure import Figure

DATES = 24  # of a tile: the default of configs/data/my_city.py
NEW = 64  # photos that are still to be fetched


def million(folder, sizes):
    """Seconds and most memory of plan, pair, the beginning of pack, and a resumed fetch."""
    where, rows = str(folder), made_builds.table(folder, sizes.many, made_builds.PER_CITY)
    note = f'{rows:,} photos of {sizes.many} cities, each stage in a process of its own'
    yield from _row('plan', rows, child.run(made_builds.planned, where), note)
    child.run(made_builds.settled, where, DATES, False)
    paired = child.run(made_builds.paired, where)
    yield from _row('pair', rows, paired, f'{DATES} dates a tile')
    packed = child.run(made_builds.packed, where, str(folder / 'prepared'))
    if 'cannot be read' not in packed.answer:
        raise RuntimeError(packed.answer)
    yield from _row('pack', rows, packed, 'up to the first scene, whose file is not there')
    child.run(made_builds.forget_photos, where, NEW)
    with photo_server.serve() as server:
        ran = child.run(made_builds.fetched, where, server.url, 1e5, 1024)
    if ran.answer['kept'] + ran.answer['gone'] != rows:
        raise RuntimeError(ran.answer)
    yield from _row('fetch-photos', rows, ran, f'all but {NEW} photos are there already')


def _row(stage, rows, ran, note):
    of = f'of {rows / 1e6:.3g} million photos'
    note = f'{note}; {ran.cpu:.3g} s of CPU.'
    yield Figure(f'{stage} {of}', ran.seconds, 's', note=note)
    yield Figure(f'memory of {stage} {of}', ran.peak / 2**30, 'GiB')
