"""What `gair convert` prints: what was converted, the parity report, the nine published cosines."""

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from gair_jax.convert import sources
from gair_jax.convert.table import flatten, keys
from gair_jax.serve.conversion import Converted, Restored
from gair_jax.serve.parity import Case, Comparison, Figures
from gair_jax.serve.previews import CITIES, PUBLISHED, Preview

WIDE = 140  # columns of a table that goes to a file
# A sentence as it is: names in brackets stay, and nothing is cut into lines.
PLAIN: dict[str, Any] = {'markup': False, 'highlight': False, 'soft_wrap': True}


def conversion(made: Converted, where: str, console: Console | None = None) -> None:
    """What each part of the model got, and what is kept beside it."""
    console = console or _console()
    rows = []
    rules = sources.source(made.layout.source).rules(made.params, made.layout)
    for part, tree in made.params.items():
        own = [rule for rule in rules if rule.targets[0].partition('/')[0] == part]
        rows.append((part, len(keys(own, made.params)), _size(tree)))
    total = ('model', sum(row[1] for row in rows), sum(row[2] for row in rows))
    console.print(f'{made.layout.source} -> {where}', **PLAIN)
    table = _table('', ('part', 'entries', 'parameters'))
    for part, entries, parameters in [*rows, total]:
        table.add_row(part, str(entries), f'{parameters:,}')
    if made.carried:
        values = sum(array.size for array in made.carried.values())
        table.add_row('kept, not used', str(len(made.carried)), f'{values:,}')
    console.print(table)
    if made.carried:
        console.print(f'Kept for the way back: {grouped(made.carried)}.', **PLAIN)
    _say(made.remarks, console)


def restoration(made: Restored, where: str, console: Console | None = None) -> None:
    """What was written, and what of the layout is absent."""
    console = console or _console()
    state = made.file.state
    values = sum(np.size(array) for array in state.values())
    console.print(
        f'{where}: {len(state)} entries, {values:,} values, in the layout of {made.source.name}.',
        **PLAIN,
    )  # fmt: skip
    if made.absent:
        console.print(f'Absent, because the model has none: {", ".join(made.absent)}.', **PLAIN)
    _say(made.remarks, console)


def parity(case: Case, compared: Sequence[Comparison], console: Console | None = None) -> None:
    """The parity report of one case: a line an output."""
    console = console or _console()
    columns = ('block', 'shape', 'reference', 'ours', 'error', 'allowed', '')
    table = _table(f'Parity report: {case.path.name} ({case.kind})', columns)
    for c in compared:
        shape = ' x '.join(map(str, c.reference.shape)) or '1'
        error, verdict = f'{c.error:.2g}', 'ok' if c.ok else 'MISS'
        table.add_row(
            c.output, shape, _figures(c.reference), _figures(c.ours), error, c.allowed(), verdict
        )
    console.print(table)
    absent = [name for name in case.outputs if name not in {c.output for c in compared}]
    if absent:
        console.print(f'Not compared: {", ".join(absent)}.', **PLAIN)


def previews(made: Sequence[Preview], console: Console | None = None) -> None:
    """Our cosines beside the published ones, and what that says of the weights."""
    console = console or _console()
    table = _table('Cosine of tile and photo: ours / published', ('', 'tile', *CITIES))
    for preview in made:
        for city, ours, theirs in zip(CITIES, preview.cosines, PUBLISHED, strict=True):
            cells = [f'{a:.4f} / {b:.4f}' for a, b in zip(ours, theirs, strict=True)]
            table.add_row(preview.what, city, *cells)
    console.print(table)
    for preview in made:
        far = f'{preview.what}: largest difference {preview.difference:.4f}'
        console.print(f'{far}{", agrees" if preview.official else ""}.', **PLAIN)
    if not any(preview.official for preview in made):
        console.print('These are evidently not the official weights.', **PLAIN)


def grouped(names: Iterable[str]) -> str:
    """Keys in few words: those of one beginning as 'nerf_fn.* (21)'."""
    counts = collections.Counter('.'.join(name.split('.')[:1]) for name in names)
    exact = {name.split('.')[0]: name for name in names}
    return ', '.join(
        exact[head] if count == 1 else f'{head}.* ({count})' for head, count in counts.items()
    )


def _size(tree: dict) -> int:
    return sum(int(np.size(leaf)) for leaf in flatten(tree).values())


def _figures(figures: Figures) -> str:
    return f'{figures.mean:+.4g} +- {figures.std:.4g}'


def _say(remarks: Sequence[str], console: Console) -> None:
    for remark in remarks:
        console.print(f'Note: {remark}', **PLAIN)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify='left')
    for column in columns:
        table.add_column(column, justify='right' if column in ('entries', 'parameters') else 'left')
    return table
