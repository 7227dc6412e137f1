"""Words that `gair map` and `gair query` share."""

import argparse
from typing import Any

from gair_jax.config import InputError
from gair_jax.verbs import checkpoint_arguments


def add(verb: argparse.ArgumentParser) -> None:
    """Adds the checkpoint, the output, and how windows are read and embedded."""
    checkpoint_arguments.add(verb)
    verb.add_argument('--normalize', action='store_true', help='embeddings of length 1')
    verb.add_argument(
        '--space',
        choices=('common', 'encoder'),
        default='common',
        help='common: comparable with photos and places (default); encoder: for probes',
    )
    verb.add_argument(
        '--offset',
        type=float,
        metavar='N',
        help='subtracted from stored values: 1000 for Sentinel-2 L2A since baseline 04.00 that is '
        'not harmonised (default: of the sensor contract)',
    )
    verb.add_argument(
        '--band-order', default='', choices=('eurosat',), help='of a raster without band names'
    )
    verb.add_argument(
        '--overlap', type=float, default=0.25, metavar='SHARE', help='of windows (default 0.25)'
    )
    verb.add_argument(
        '--window', type=int, default=0, metavar='PIXELS', help='(default: as in training)'
    )


def add_spacing(verb: argparse.ArgumentParser, default: str) -> None:
    """Adds the spacing of the cells, in one of two units."""
    spacing = verb.add_mutually_exclusive_group()
    spacing.add_argument(
        '--spacing-px',
        type=float,
        metavar='N',
        help=f'between cells, pixels of the raster, also a fraction{default}',
    )
    spacing.add_argument(
        '--spacing-m', type=float, metavar='M', help='between cells, metres on the ground'
    )


def lonlat(text: str, flag: str) -> tuple[float, ...]:
    """The place in LON,LAT; InputError for anything else."""
    return numbers(text, flag, 'LON,LAT')


def numbers(text: str, flag: str, form: str) -> tuple[float, ...]:
    """As many numbers as `form` names, with commas between; InputError for anything else."""
    try:
        found = tuple(float(part) for part in text.split(','))
    except ValueError:
        found = ()
    if len(found) != len(form.split(',')):
        raise InputError(f'{flag}: expected {form} in degrees, found {text!r}.')
    return found


def sampling(arguments: argparse.Namespace, size: float, unit: str) -> Any:
    """Where and how the raster is embedded (`serve.scene_cells.Sampling`)."""
    from gair_jax.serve.cells import Spacing
    from gair_jax.serve.scene_cells import Sampling

    if arguments.window < 0:
        raise InputError(f'--window: expected pixels, more than 0, found {arguments.window}.')
    return Sampling(
        spacing=Spacing(size, unit),
        overlap=arguments.overlap,
        window=arguments.window,
        normalize=arguments.normalize,
        space=arguments.space,
    )


def spacing(arguments: argparse.Namespace) -> tuple[float, str]:
    """What was asked for: size and unit; unit '' where nothing was."""
    if arguments.spacing_m is not None:
        return arguments.spacing_m, 'm'
    return (0.0, '') if arguments.spacing_px is None else (arguments.spacing_px, 'px')


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    return f'{seconds:.1f} s' if seconds < 100 else f'{seconds / 60:.1f} min'
