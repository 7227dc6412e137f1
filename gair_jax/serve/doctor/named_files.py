"""The files that a column of a table names: where they lie, and which do not."""

import pathlib

from gair_jax.config import InputError
from gair_jax.input.tables import Files


class NamedFiles:
    """Looks a column's files up under one root, by path, or where that fails by name alone.

    The first way by which a file is found is taken for all of them, as `gair embed` would.

    Attributes:
      count, missing: cells that name a file, and those whose file is not there.
      options: what `gair embed` must be told: '--root R', '--basename'.
    """

    def __init__(self, root: str, table: pathlib.Path) -> None:
        self.count = self.missing = 0
        self.options: list[str] = []
        # Where no root is given, a table beside its files is understood too.
        roots = [pathlib.Path(root)] if root else [pathlib.Path('.'), table.parent]
        self._ways = [*((path, False) for path in roots), (roots[-1], True)]
        self._opened: dict[tuple[pathlib.Path, bool], Files] = {}

    @property
    def where(self) -> str:
        """Where files were looked for."""
        return str(self._ways[-1][0])

    def find(self, name: str) -> pathlib.Path | None:
        """The file that a cell means, or None."""
        self.count += 1
        for way in self._ways:
            files = self._open(way)
            try:
                path = files.root / files.find(name)
            except InputError:
                continue
            if len(self._ways) > 1:
                self._settle(way)
            return path
        self.missing += 1
        return None

    def _open(self, way: tuple[pathlib.Path, bool]) -> Files:
        if way not in self._opened:
            self._opened[way] = Files(*way)
        return self._opened[way]

    def _settle(self, way: tuple[pathlib.Path, bool]) -> None:
        self._ways = [way]
        root, by_name = way
        self.options = [] if root == pathlib.Path('.') else [f'--root {root}']
        self.options += ['--basename'] if by_name else []
