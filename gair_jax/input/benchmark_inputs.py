"""From a benchmark's bands to what an encoder takes, by the benchmark's own statistics.

PANGAEA-Bench's steps after the crop or resize: z = (x - mean) / std, bands in the encoder's order,
those that the data lack 0. NumPy float32, channels last.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Real

from gair_jax.config import InputError
from gair_jax.sensors import band_indices, canonical

SCALINGS = ('z_score', 'gair')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """A data set's bands by name in stored order, with their mean and standard deviation (> 0)."""

    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuses statistics that do not fit the bands."""
        if not len(self.bands) == len(self.mean) == len(self.std):
            raise InputError(
                f'statistics: expected a mean and std for each of {len(self.bands)} bands, found '
                f'{len(self.mean)} and {len(self.std)}.'
            )
        if min(self.std, default=1) <= 0:
            raise InputError(f'std: expected values above 0, found {min(self.std)}.')


def of_label(metadata: Mapping[str, Any], label: str) -> Stored:
    """What the metadata of a data set publish for the task of a label; InputError where nothing."""
    for task in metadata.get('tasks', {}).values():
        if task['label'] == label and 'statistics' in task:
            mean, std = (tuple(task['statistics'][name]) for name in ('mean', 'std'))
            return Stored(bands=tuple(metadata['bands']), mean=mean, std=std)
    raise InputError(
        f"input.rs.scaling: expected 'contract', as the data set has no statistics for the label "
        f'{label!r}.'
    )


def prepare(
    values: Real[np.ndarray, '*batch c'],
    stored: Stored,
    bands: Sequence[str],
    *,
    scaling: str = 'z_score',
    levels: bool = False,
) -> Float[np.ndarray, '*batch k']:
    """Network input, float32: the encoder's `bands`, by name, from the bands that are stored.

    Args:
      values: in stored units and order; bands that the encoder lacks are left out.
      stored: names and statistics.
      bands: the encoder's, in its order; one that is not stored is 0 after normalisation.
      scaling: z_score, or gair: clip(z / 4 + 0.5, 0, 1), as GAIR's encoders were trained (a missing
        band is then 0.5, the middle).
      levels: with gair, cut to 255 steps, as GAIR's training from 8 bits did.

    Raises:
      InputError: another number of bands, none that both have, one that is there twice, or an
        unknown scaling.
    """
    _check(values, stored, scaling, levels)
    z = np.zeros((*values.shape[:-1], len(bands)), np.float32)
    names = {canonical(band) for band in stored.bands}
    shared = [at for at, band in enumerate(bands) if canonical(band) in names]
    if not shared:
        raise InputError(
            f"bands: expected one of the encoder's, {', '.join(bands)}, found "
            f'{", ".join(stored.bands)}.'
        )
    source = band_indices(stored.bands, [bands[at] for at in shared])
    mean, std = (np.asarray(v, np.float32)[source] for v in (stored.mean, stored.std))
    z[..., shared] = (values[..., source].astype(np.float32) - mean) / std
    return z if scaling == 'z_score' else _gair(z, levels)


def _check(values: np.ndarray, stored: Stored, scaling: str, levels: bool) -> None:
    if values.shape[-1] != len(stored.bands):
        raise InputError(f'values: expected {len(stored.bands)} bands, found {values.shape[-1]}.')
    if scaling not in SCALINGS:
        raise InputError(f'scaling: expected {" or ".join(SCALINGS)}, found {scaling!r}.')
    if levels and scaling != 'gair':
        raise InputError(f"levels: expected scaling 'gair', found {scaling!r}.")


def _gair(z: Float[np.ndarray, '*batch k'], levels: bool) -> Float[np.ndarray, '*batch k']:
    unit = np.clip(z / 4 + np.float32(0.5), 0, 1)
    return np.trunc(unit * 255) / np.float32(255) if levels else unit
