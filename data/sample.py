"""`gair data sample`: as many urban as rural places of a prepared data set (paper section 5.2).

What is urban is told by a raster (people a square km above a bound, or classes of land cover) at
the pixel that holds the place, or by a label that every record carries. Places are drawn without
replacement, in any shares: the same rule makes a sample that leans to cities. Places of which
nothing is known, or that are neither (water), are never drawn, and counted.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from rich import console, progress

from gair_jax.builders import raster_values, variants
from gair_jax.config import DataConfig, InputError
from gair_jax.input import sample_files
from gair_jax.input.records import bits_float, label_field
from gair_jax.input.store import Store


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """What tells urban places: one source, `raster` or `label`, and one test of its values.

    raster: path of a GeoTIFF of one band. label: of the records, as name or name:component.
    above: the value that urban places are above; nan: none. classes: the values that are urban.
    rural: the values that are rural, with classes; (): all others.
    """

    raster: str = ''
    label: str = ''
    above: float = float('nan')
    classes: tuple[int, ...] = ()
    rural: tuple[int, ...] = ()

    def check(self) -> None:
        """InputError unless there is one source and one test."""
        if bool(self.raster) == bool(self.label):
            raise InputError('sample: expected one of --raster and --label.')
        if np.isnan(self.above) == (not self.classes):
            raise InputError('sample: expected one of --urban-above and --urban-classes.')
        if self.rural and not self.classes:
            raise InputError('rural-classes: expected --urban-classes beside it, found none.')
        if both := set(self.rural) & set(self.classes):
            raise InputError(f'rural-classes: {min(both)} is among the urban classes too.')

    @property
    def told(self) -> dict[str, Any]:
        """As JSON values."""
        classes = {'classes': self.classes, 'rural': self.rural}
        test = classes if self.classes else {'above': self.above}
        return {'raster': self.raster, 'label': self.label, **test}

    def urban(self, values: Float[np.ndarray, ' n']) -> Bool[np.ndarray, ' n']:
        """Which values are urban; nan is not."""
        return np.isin(values, self.classes) if self.classes else values > self.above

    def told_of(self, values: Float[np.ndarray, ' n']) -> Bool[np.ndarray, ' n']:
        """Which values are urban or rural."""
        kinds = (*self.classes, *self.rural)
        return np.isin(values, kinds) if self.rural else np.isfinite(values)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleReport:
    """What was found and drawn, for the command line to print."""

    path: pathlib.Path
    urban: int
    rural: int
    unknown: int
    drawn_urban: int
    drawn_rural: int

    def __str__(self) -> str:
        """Two lines that a person reads."""
        return (
            f'Found {self.urban} urban and {self.rural} rural places; {self.unknown} are neither '
            f'or unknown.\nDrawn {self.drawn_urban} urban and {self.drawn_rural} rural: '
            f'{self.path} (--config.data.sample={self.path}).'
        )


def draw(
    *,
    name: str,
    variant: str,
    out: str,
    rule: Rule,
    data_dir: str = 'prepared',
    split: str = 'train',
    share: float = 0.5,
    count: int = 0,
    seed: int = 0,
) -> SampleReport:
    """Draws a sample and writes it.

    Args:
      name: of the data set.
      variant: of it.
      out: file that is written.
      rule: what is urban.
      data_dir: folder of prepared data sets.
      split: whose records are drawn.
      share: of urban places among those drawn, 0..1.
      count: how many are drawn; 0: as many as there are enough of both for.
      seed: of the draw.

    Raises:
      InputError: the rule, the data set or a number cannot be used, or there are too few places of
        a kind.
    """
    _check(rule, share, count, seed)
    variants.check_variant(variant)
    data = DataConfig(dir=data_dir, name=name, variant=variant)
    store = Store(data)
    values = _values(store, split, rule)
    known = rule.told_of(values)
    urban = known & rule.urban(values)
    kinds = np.flatnonzero(urban), np.flatnonzero(known & ~urban)
    wanted = counts(len(kinds[0]), len(kinds[1]), share, count)
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(kind)[:n] for kind, n in zip(kinds, wanted, strict=True)]
    found = {
        'urban': len(kinds[0]),
        'rural': len(kinds[1]),
        'unknown': int((~known).sum()),
        'drawn_urban': wanted[0],
        'drawn_rural': wanted[1],
    }
    key = sample_files.key_of(data, store, split)
    drawn = {'rows': np.sort(np.concatenate(rows)).tolist()}
    told = {'rule': rule.told, 'share': share, 'seed': seed}
    sample_files.write({**key, **told, **found, **drawn}, pathlib.Path(out))
    return SampleReport(path=pathlib.Path(out), **found)


def _check(rule: Rule, share: float, count: int, seed: int) -> None:
    rule.check()
    if not 0 <= share <= 1:
        raise InputError(f'urban-share: expected 0 to 1, found {share}.')
    for name, value in (('count', count), ('seed', seed)):
        if value < 0:
            raise InputError(f'{name}: expected 0 or more, found {value}.')


def counts(urban: int, rural: int, share: float, count: int) -> tuple[int, int]:
    """How many urban and rural places are drawn of those there are; as `draw`.

    Raises:
      InputError: there are too few of a kind, or none is drawn at all.
    """
    if not count:
        most = [n / part for n, part in ((urban, share), (rural, 1 - share)) if part]
        # Rounding may ask for one more than there is.
        return _fitting(urban, rural, share, int(min(most)))
    wanted = round(count * share), count - round(count * share)
    for kind, there, n in zip(('urban', 'rural'), (urban, rural), wanted, strict=True):
        if n > there:
            raise InputError(f'count: expected at most {there} {kind} places, found {n} asked for.')
    return wanted


def _fitting(urban: int, rural: int, share: float, count: int) -> tuple[int, int]:
    for total in range(count, 0, -1):
        wanted = round(total * share), total - round(total * share)
        if wanted[0] <= urban and wanted[1] <= rural:
            return wanted
    raise InputError(
        f'sample: expected urban and rural places, found {urban} and {rural}; see the bound.'
    )


def _values(store: Store, split: str, rule: Rule) -> Float[np.ndarray, ' n']:
    """What the rule's source says of every record; nan where it says nothing."""
    if rule.label:
        return _labels(store, split, rule.label)
    lonlat = np.array([bits_float(x['lonlat']) for x in _examples(store, split, ['lonlat'])])
    return raster_values.at_places(pathlib.Path(rule.raster), lonlat)


def _labels(store: Store, split: str, label: str) -> Float[np.ndarray, ' n']:
    name, _, component = label.partition(':')
    records = store.photos(split)
    field = label_field(name, records.fields)
    values = np.array([np.asarray(x[field], np.float64) for x in _examples(store, split, [field])])
    values = values.reshape(len(values), -1)
    tasks = store.metadata.get('tasks', {}).values()
    own = next((task for task in tasks if task['label'] == name), {'classes': [], 'kind': ''})
    if own['kind'] == 'class':
        values = np.where(values < 0, np.nan, values)  # -1 is unknown
    names = own['classes'] if own['kind'] == 'regression' else []
    names = names or [str(i) for i in range(values.shape[1])]
    if component not in names and not (component == '' and len(names) == 1):
        raise InputError(f'label: expected {name}: and one of {", ".join(names)}, found {label!r}.')
    return values[:, names.index(component) if component else 0]


def _examples(store: Store, split: str, names: list[str]) -> Iterator[dict[str, Any]]:
    records = store.photos(split)
    terminal = console.Console(stderr=True)
    rows: Iterable[int] = range(len(records))
    with progress.Progress(console=terminal, disable=not sys.stderr.isatty()) as bar:
        for row in bar.track(rows, description=f'reading {split}'):
            yield records.example(row, names)
