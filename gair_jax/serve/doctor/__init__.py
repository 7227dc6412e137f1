"""What is wrong with a tile, photo, table, data set, checkpoint or config, in sentences.

    for finding in doctor.examine('tile.tif'):
        print(finding.level, finding.text)

One module a kind of file, each with `examine(path, expected) -> list[Finding]`.
"""

import importlib
import pathlib

from gair_jax import sensors
from gair_jax.serve.doctor import kinds
from gair_jax.serve.doctor.finding import LEVELS, Expected, Finding, Path, unusable

__all__ = ['LEVELS', 'Expected', 'Finding', 'examine', 'expected_by']

_MODULES = {
    'tile': 'rasters',
    'photo': 'photos',
    'table': 'tables',
    'data_set': 'data_sets',
    'checkpoint': 'checkpoints',
    'config': 'configs',
}


def expected_by(checkpoint: Path = '', sensor: str = '') -> Expected:
    """What the files for a checkpoint, or else for a sensor contract, are held against.

    Raises:
      InputError: the checkpoint cannot be read, or there is no contract of that name.
    """
    if not checkpoint:
        return Expected(sensor=sensors.contract(sensor)) if sensor else Expected()
    # JAX and Orbax take a second to import; most examinations need neither.
    from gair_jax.serve import weights

    found = weights.read(checkpoint)
    rs, sv = found.config.input.rs, found.config.input.sv
    window = 0 if rs.placement == 'whole' else rs.window
    contract = found.contracts.get('rs', Expected().sensor)
    return Expected(sensor=contract, window=window, photo_side=sv.size)


def examine(path: Path, expected: Expected | None = None) -> list[Finding]:
    """Looks at one file or folder; at least one finding, in the order of looking.

    Args:
      path: of a GeoTIFF, a JPEG or PNG, a CSV or Parquet table, a prepared data set, a checkpoint
        or a config file; which of them is told by its content.
      expected: what it is held against, as `expected_by` gives; None is `Expected()`.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return [unusable(path, 'there is no such file or folder')]
    try:
        kind = kinds.recognise(path)
    except OSError as error:
        return [unusable(path, f'it cannot be read: {error.strerror}')]
    if kind not in _MODULES:
        what = kind.removeprefix('no: ')
        return [
            unusable(
                path,
                'expected a GeoTIFF, JPEG, PNG, CSV, Parquet, data set, checkpoint or config, '
                f'found {what}',
            )
        ]
    # A photo needs neither JAX nor rasterio, so each kind's module is imported when it is met.
    module = importlib.import_module(f'{__name__}.{_MODULES[kind]}')
    return module.examine(path, expected or Expected())
