"""The card of a prepared set of street views: what is in it, whose it is, how it was made.

It is written from the tables that `gair data build streetscapes` leaves at its last stage, as
Markdown and as one HTML page that needs no other file.
"""

import base64
import html
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from gair_jax.report import card_figures

SHARE_ALIKE = (
    'Photos under CC BY-SA stay under it, resized or not: pass attribution.parquet on with them. '
    'Ids and this builder can be published instead of pixels.'
)
PRIVACY = (
    'Faces and plates are blurred by the services before a photo can be had, and photos that are '
    'not are left out. EXIF is removed. Ids that their owners or the services took back go into '
    'the file photos.removed, and the stages fetch-photos to check then take them out.'
)
LIMITS = (
    'Quality, light and platform of a photo are what models say of it. Positions are those of the '
    'services: on 1,892 photos the given and the computed one lay 1.7 m apart in the median and '
    '23 m at the 99th percentile. That the middle of a panorama looks along its heading is assumed.'
)
_STYLE = """
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1d2125; background: #fbfaf8;
  font: 15px/1.5 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { border-bottom: 1px solid #d9dbdd; padding: .2rem 1rem .2rem 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; }
img { max-width: 100%; height: auto; }
"""


class Block(NamedTuple):
    """A part of the card: a heading, and below it sentences, a table and a picture, where given."""

    heading: str
    sentences: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    picture: str = ''
    caption: str = ''


def write(folder: pathlib.Path) -> pathlib.Path:
    """Draws the pictures and writes card.md and card.html into the folder; the path of the page.

    Args:
      folder: holds card.json, outcomes.parquet, attribution.parquet and scenes.parquet.
    """
    facts = json.loads((folder / 'card.json').read_text(encoding='utf-8'))
    records = pd.read_parquet(folder / 'attribution.parquet')
    scenes = pd.read_parquet(folder / 'scenes.parquet')
    card_figures.draw_map(records, folder / 'map.png')
    card_figures.draw_histograms(records, scenes, folder / 'histograms.png')
    title = f'{facts["name"]}/{facts["variant"]}'
    title += ' (synthetic data)' if facts['synthetic'] else ''
    blocks = _blocks(facts, records)
    _place(folder / 'card.md', _markdown(title, blocks))
    page = folder / 'card.html'
    _place(page, _page(title, blocks, folder))
    return page


def _blocks(facts: Mapping[str, Any], records: pd.DataFrame) -> list[Block]:
    return [
        Block('What is in it', rows=_contents(facts)),
        Block('Where', picture='map.png', caption='Places of the records that were kept.'),
        Block('Of what kind', picture='histograms.png', caption='Counts of what was kept.'),
        Block(
            'What became of the rows',
            [f'Each of the {facts["rows"]:,} rows of the table ended in one way; each is in '
             'outcomes.parquet.'],
            ('outcome', 'reason', 'rows'),
            [(outcome, reason, f'{count:,}') for outcome, reason, count in facts['ends']],
        ),
        Block('Whose it is', _owners(facts, records), ('licence', 'records'),
              _counts(facts['licences'])),
        Block('Privacy and removal', [PRIVACY]),
        Block('How it was made', _making(facts), ('setting', 'value'), _settings(facts)),
        Block('What it cost', _COSTS, _COST_HEAD, _costs(facts)),
        Block('What to know', [LIMITS]),
        Block('Checks', facts['faults'] or ['Every record was read and held against the plan, and '
              'nothing was found to be wrong.']),
    ]  # fmt: skip


def _contents(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    splits = ', '.join(f'{name} {count:,}' for name, count in facts['splits'].items())
    sources = ', '.join(f'{name} {count:,}' for name, count in facts['sources'].items())
    return [
        ('records', f'{facts["records"]:,} ({splits})'),
        ('sources', sources or 'places alone, without photos'),
        ('cities', f'{facts["cities"]:,}'),
        ('tiles', f'{facts["tiles"]:,}'),
        ('tile dates packed', f'{facts["tile_dates"]:,}'),
        ('scenes whose offset of 1000 was removed', f'{facts["offset_removed"]:,}'),
        ('scenes that contradict their catalogue on it', f'{facts["offset_conflicts"]:,}'),
        ('scenes moved to the nearest pixel of the grid', f'{facts["reprojected"]:,}'),
    ]


def _owners(facts: Mapping[str, Any], records: pd.DataFrame) -> list[str]:
    names = records.loc[records['creator'] != '', 'creator'].value_counts()
    said = [facts['notice'], SHARE_ALIKE]
    if len(names):
        most = ', '.join(f'{name} ({count:,})' for name, count in names.head(10).items())
        said.append(f'Photos of {facts["creators"]:,} creators, most of all {most}.')
    return said


def _making(facts: Mapping[str, Any]) -> list[str]:
    return [
        f'By `gair data build streetscapes` of gair_jax {facts["version"]}, from a table of digest '
        f'{facts["table_digest"]}.'
    ]


def _settings(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, json.dumps(value)) for name, value in facts['settings'].items()]


_COSTS = [
    'At most, as it was forecast, and spent. A dash: nothing, or not counted, as requests for '
    'parts of scenes. Times are those of processes at work.'
]
_COST_HEAD = ('part', '', 'requests', 'fetched', 'time', 'disk')


def _costs(facts: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for row in facts['costs']:
        most, spent = row['words']
        rows += [[row['most']['item'], 'at most', *most], ['', 'spent', *spent]]
    return rows


def _counts(found: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name or 'not named', f'{count:,}') for name, count in found.items()]


def _markdown(title: str, blocks: Sequence[Block]) -> str:
    lines = [f'# {html.escape(title)}']
    for block in blocks:
        said = [line for sentence in block.sentences for line in ('', html.escape(sentence))]
        lines += ['', f'## {block.heading}', *said]
        if block.rows:
            head = block.head or ('', '')
            lines += ['', _row(head), _row(['---'] * len(head)), *map(_row, block.rows)]
        if block.picture:
            lines += ['', f'![{block.caption}]({block.picture})']
    return '\n'.join(lines) + '\n'


def _row(cells: Sequence[Any]) -> str:
    escaped = (html.escape(str(cell)).replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(escaped)} |'


def _page(title: str, blocks: Sequence[Block], folder: pathlib.Path) -> str:
    body = ''.join(_section(block, folder) for block in blocks)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{html.escape(title)}</title><style>{_STYLE}</style></head>'
        f'<body><h1>{html.escape(title)}</h1>{body}</body></html>\n'
    )


def _section(block: Block, folder: pathlib.Path) -> str:
    parts = [f'<h2>{html.escape(block.heading)}</h2>']
    parts += [f'<p>{html.escape(sentence)}</p>' for sentence in block.sentences]
    if block.rows:
        head = f'<tr>{_cells(block.head, "th")}</tr>' if block.head else ''
        rows = ''.join(f'<tr>{_cells(row, "td")}</tr>' for row in block.rows)
        parts.append(f'<table>{head}{rows}</table>')
    if block.picture:
        data = base64.b64encode((folder / block.picture).read_bytes()).decode()
        alt = html.escape(block.caption)
        parts.append(f'<img src="data:image/png;base64,{data}" alt="{alt}">')
    return ''.join(parts)


def _cells(cells: Sequence[Any], tag: str) -> str:
    """The first is a name; further ones of long rows are numbers."""
    kind = ' class="n"' if len(cells) > 2 else ''
    marks = ['', *[kind] * (len(cells) - 1)]
    return ''.join(
        f'<{tag}{mark}>{html.escape(str(cell))}</{tag}>'
        for mark, cell in zip(marks, cells, strict=True)
    )


def _place(path: pathlib.Path, text: str) -> None:
    part = path.with_name(f'.{path.name}.part')
    part.write_text(text, encoding='utf-8')
    os.replace(part, path)
