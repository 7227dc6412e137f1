"""What a build was to cost at most, beside what it has cost so far."""

import pathlib

from gair_jax.builders import variants
from gair_jax.builders.streetscapes import (
    forecast,
    pack,
    photos_files,
    plan_files,
    scenes_fetch,
    tally,
)
from gair_jax.builders.streetscapes.forecast import Row
from gair_jax.builders.streetscapes.settings import StreetscapesConfig

_HEAD = f'{"":<30}{"requests":>12}{"fetched":>12}{"time":>12}{"disk":>12}'


def beside(
    settings: StreetscapesConfig, out: pathlib.Path, data_dir: pathlib.Path
) -> list[tuple[Row, Row]]:
    """Lines of the forecast of a planned build, each with what was spent.

    Hours spent are those of processes at work, all workers together. GDAL does not count its
    requests for parts of scenes, and what it fetched is the blocks that were touched.

    Raises:
      InputError: there is no plan, or `forecast.forecast` refuses the settings.
    """
    photos, tiles = plan_files.photos(out), plan_files.tiles(out)
    rows = forecast.forecast(settings, forecast.amounts(settings, photos, tiles))
    spent = _spent(settings, out, data_dir)
    return [(row, spent.get(row.item, Row(row.item))) for row in rows]


def text(settings: StreetscapesConfig, out: pathlib.Path, data_dir: pathlib.Path) -> str:
    """Both as a table, the second column only once something was spent."""
    rows = beside(settings, out, data_dir)
    lines = ['at most:', _HEAD, *(_line(row) for row, _ in rows)]
    if any(spent[1:] != (0,) * 4 for _, spent in rows):
        lines += ['so far:', _HEAD, *(_line(spent) for _, spent in rows)]
    return '\n'.join(lines)


def words(row: Row) -> tuple[str, str, str, str]:
    """Requests, bytes fetched, time and disk of a line; '-' for nothing."""
    return (
        f'{row.requests:,}' if row.requests else '-',
        tally.size_text(row.fetched) if row.fetched else '-',
        tally.time_text(row.hours * 3600) if row.hours else '-',
        tally.size_text(row.disk) if row.disk else '-',
    )


def _line(row: Row) -> str:
    return f'{row.item:<30}' + ''.join(f'{cell:>12}' for cell in words(row))


def _spent(
    settings: StreetscapesConfig, out: pathlib.Path, data_dir: pathlib.Path
) -> dict[str, Row]:
    search, select, scenes, photos = (
        tally.of(out, stage)
        for stage in ('search', 'select', scenes_fetch.STAGE, photos_files.STAGE)
    )
    read, shot = scenes.spent, photos.spent
    hours = (read.get('seconds', 0.0) + select.spent.get('seconds', 0.0)) / 3600
    fetched = read.get('fetched', 0.0) + select.spent.get('fetched', 0.0)
    packed = {
        kind: _disk(variants.config_dir(data_dir, pack.Streetscapes.name, settings.variant, kind))
        for kind in ('acquisitions', 'photos')
    }
    rows = [
        Row(forecast.SEARCH, int(search.spent.get('requests', 0)), hours=_hours(search)),
        Row(forecast.SCENES, fetched=fetched, disk=scenes.size),
        Row(forecast.WORK, hours=hours),
        Row(forecast.PACKED_SCENES, disk=packed['acquisitions']),
        Row(
            forecast.PHOTOS,
            int(shot.get('requests', 0)),
            shot.get('fetched', 0.0),
            _hours(photos),
            photos.size,
        ),
        Row(forecast.PACKED_PHOTOS, disk=packed['photos']),
    ]
    return {row.item: row for row in rows}


def _hours(found: tally.Tally) -> float:
    return found.spent.get('seconds', 0.0) / 3600


def _disk(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.glob('*.array_record*'))
