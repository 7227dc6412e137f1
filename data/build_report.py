"""What a build says when it is done."""

import dataclasses
import pathlib
from typing import Any

from gair_jax.builders import variants


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build made, for the command line to print.

    Attributes:
      name, variant: of the data set.
      path: folder of its photo records.
      splits: photos in each split.
      tiles: number of acquisitions.
      rows: rows of the source; photos kept + `failed`.
      failed: rows that could not be used.
      notes: sentences for the user.
    """

    name: str
    variant: str
    path: pathlib.Path
    splits: dict[str, int]
    tiles: int
    rows: int
    failed: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A few lines that a person reads."""
        splits = ', '.join(f'{split} {count}' for split, count in self.splits.items())
        kept = f'{self.name}/{self.variant}: {self.rows - self.failed} of {self.rows} rows kept'
        return '\n'.join([f'{kept} ({splits}), {self.tiles} tile dates: {self.path}', *self.notes])


def report(
    data_dir: pathlib.Path, name: str, variant: str, metadata: dict[str, Any], notes: list[str]
) -> BuildReport:
    """The report of a finished variant from the metadata that `prepare` returned."""
    splits = dict(metadata['counts'])
    tiles = splits.pop('tiles')
    kept = sum(splits.values())
    return BuildReport(
        name=name,
        variant=variant,
        path=variants.config_dir(data_dir, name, variant, 'photos'),
        splits=splits,
        tiles=tiles,
        rows=kept + metadata.get('failed', 0),
        failed=metadata.get('failed', 0),
        notes=tuple(notes),
    )
