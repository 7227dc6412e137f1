"""A figure, what it must be, and how much work is done to get it."""

import dataclasses
import math
from typing import NamedTuple


class Figure(NamedTuple):
    """One row of the table.

    check: what is measured.
    value: the figure.
    unit: of it.
    least, most: it passes between these, both included; without either it is only told.
    note: what a reader must know to judge it.
    """

    check: str
    value: float
    unit: str = ''
    least: float = -math.inf
    most: float = math.inf
    note: str = ''

    @property
    def to_pass(self):
        """'>= 20', '<= 45', '0' or '' where nothing is asked."""
        if self.least == self.most:
            return f'{self.least:g}'
        parts = [(self.least, '>='), (self.most, '<=')]
        return ' '.join(f'{sign} {bound:.4g}' for bound, sign in parts if math.isfinite(bound))

    @property
    def verdict(self):
        """'pass', 'FAIL' or 'told'. What is no number fails."""
        if not self.to_pass:
            return 'told'
        return 'pass' if self.least <= self.value <= self.most else 'FAIL'

    def as_json(self):
        """Its fields and verdict; bounds that are none are null."""
        bounds = {'least': self.least, 'most': self.most}
        found = {name: v if math.isfinite(v) else None for name, v in bounds.items()}
        return {**self._asdict(), **found, 'verdict': self.verdict}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is done.

    scene: side of the granules that windows are read from, pixels of 10 m.
    rounds, windows: of the loops in turn, and windows of a round.
    photos: that are planned for the speed of fetching; picture: their width and height, pixels.
    below, above: photos that are fetched under a limit, with a bucket below it and three times
      above it; limit: requests a second.
    cities, per_city, dates: of the build that is packed for its memory.
    many: cities of 1,453 photos, of the plan that is as large as the paper's.
    """

    scene: int = 2048
    rounds: int = 5
    windows: int = 8
    photos: int = 1200
    picture: tuple[int, int] = (1024, 768)
    below: int = 500
    above: int = 3200
    limit: float = 150.0
    cities: int = 12
    per_city: int = 150
    dates: int = 6
    many: int = 688


TINY = Sizes(
    scene=1200, rounds=2, windows=1, photos=12, picture=(192, 144), below=8, above=40, limit=400.0,
    cities=2, per_city=4, dates=2, many=1,
)  # fmt: skip


def table(figures):
    """The rows as text: check, measured, to pass, verdict; notes below, by number."""
    rows, notes = [('check', 'measured', 'to pass', '')], []
    for one in figures:
        if one.note:
            notes.append(f'[{len(notes) + 1}] {one.note}')
        check = f'{one.check} [{len(notes)}]' if one.note else one.check
        rows.append((check, f'{_short(one.value)} {one.unit}'.strip(), one.to_pass, one.verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ['  '.join([*map(str.ljust, row, widths), row[3]]).rstrip() for row in rows]
    return '\n'.join([*lines, *([''] * bool(notes)), *notes])


def _short(value):
    """'0.812', '12.3' or '1,234'."""
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:,.0f}'
