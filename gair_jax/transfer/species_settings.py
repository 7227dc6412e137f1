"""What `gair species` reads, trains and compares (configs/species/)."""

import dataclasses

from gair_jax.config import InputError, setting
from gair_jax.geo import place_encodings
from gair_jax.geo.place_encodings import NAMES
from gair_jax.models.place_encoders import EncoderSizes

LAYOUTS = ('table', 'birdsnap', 'nabirds', 'inat_2017', 'inat_2018', 'fmow', 'yfcc')
METAS = ('ebird_meta', 'orig_meta')
BACKGROUNDS = ('sphere', 'published')
# Without a network: counted on the training rows.
COUNTED = {
    'frequency': 'how common each class is',
    'neighbours': 'classes of the nearest training places',
    'radius': 'classes of the training places within a distance',
    'histogram': 'classes of the training places in the same cell of a grid',
    'kernel': 'classes of the nearest training places, by a Gaussian of their distance',
}


@dataclasses.dataclass(kw_only=True)
class CountedConfig:
    """Priors that are counted; defaults are TorchSpatial's for iNat2018, but for the kernel's."""

    neighbours: int = setting(1500, 'run', 'nearest training places of neighbours')
    radius_degrees: float = setting(2.0, 'run', 'of radius, degrees of a great circle')
    columns: int = setting(180, 'run', 'cells of histogram from west to east')
    rows: int = setting(60, 'run', 'cells of histogram from south to north')
    pseudo_count: float = setting(2.0, 'run', 'of each class in each cell of histogram')
    kernel_degrees: float = setting(1.0, 'run', 'standard deviation of kernel, degrees')
    kernel_neighbours: int = setting(700, 'run', 'nearest training places that kernel weighs')


@dataclasses.dataclass(kw_only=True)
class PresenceConfig:
    """How a network learns where classes are met: Adam on the presence-only loss."""

    rates: tuple[float, ...] = setting((5e-4, 5e-3), 'run', 'learning rates; val chooses')
    decay: float = setting(0.98, 'run', 'the rate is rate x decay^epoch, above 0 to 1')
    batch: int = setting(1024, 'run', 'rows a step at most; all of fewer training rows')
    epochs: int = setting(30, 'run', 'passes over the training rows; val chooses after which')
    per_class: int = setting(100, 'run', 'rows of a class an epoch at most, drawn; 0: all')
    dropout: float = setting(0.5, 'run', 'share of units dropped in training, 0 to below 1')
    background: str = setting(
        'sphere', 'run', 'random places: sphere, uniform; published: lon 0..180, lat 0..90'
    )
    background_weight: float = setting(1.0, 'run', 'of the random places in the loss')
    background_places: int = setting(20_000, 'run', 'that are drawn once and used again')
    users: bool = setting(False, 'run', 'learn who goes where as well; needs a column of users')


@dataclasses.dataclass(kw_only=True)
class SpeciesConfig:
    """Photos of species weighed by how likely each species is at their places."""

    layout: str = setting('table', 'run', ', '.join(LAYOUTS))
    table: str = setting(
        '', 'run', 'of layout table: .csv or .parquet with lon, lat, class, split, maybe user'
    )
    folder: str = setting('', 'run', 'of the other layouts: the folder of the data set')
    meta: str = setting('ebird_meta', 'run', 'of birdsnap and nabirds: ebird_meta or orig_meta')
    predictions: str = setting(
        '', 'run', "P(class | photo), a row a test row: .npy or sparse .npz; '': the layout's own"
    )
    val_predictions: str = setting('', 'run', 'the same for the rows of val, in their order')
    class_names: str = setting(
        '', 'run', 'of layout table: a name a line, in the order of the predictions'
    )
    encoders: tuple[str, ...] = setting((), 'run', f'() is all: {", ".join(NAMES)}')
    counted: tuple[str, ...] = setting(
        tuple(COUNTED), 'run', f'priors without a network: {", ".join(COUNTED)}'
    )
    val_share: float = setting(0.1, 'run', 'of training rows that choose where val has none, 0..1')
    block_degrees: float = setting(0.0, 'run', 'side of blocks intervals are drawn over; 0: rows')
    seed: int = setting(0, 'run', 'of val, encodings, networks and intervals')
    sizes: EncoderSizes = dataclasses.field(default_factory=EncoderSizes)
    fit: PresenceConfig = dataclasses.field(default_factory=PresenceConfig)
    counts: CountedConfig = dataclasses.field(default_factory=CountedConfig)

    def names(self) -> tuple[str, ...]:
        """Of the encoders that are asked for."""
        return tuple(self.encoders) or tuple(NAMES)


def check(settings: SpeciesConfig) -> None:
    """Refuses values that no data set could make sense of."""
    known = {'layout': LAYOUTS, 'meta': METAS}
    for name, values in known.items():
        _one_of(name, getattr(settings, name), values)
    _one_of('fit.background', settings.fit.background, BACKGROUNDS)
    for name, values in (('encoders', tuple(NAMES)), ('counted', tuple(COUNTED))):
        found = getattr(settings, name)
        for value in found:
            _one_of(name, value, values)
            if found.count(value) > 1:
                raise InputError(f'{name}: expected each once, found {value!r} twice.')
    needed, other = ('table', 'folder') if settings.layout == 'table' else ('folder', 'table')
    if not getattr(settings, needed):
        raise InputError(f'{needed}: layout {settings.layout} expects a path, found none.')
    for name in (other, *(() if settings.layout == 'table' else ('class_names',))):
        if getattr(settings, name):
            raise InputError(f'{name}: layout {settings.layout} reads none; leave it empty.')
    _check_numbers(settings)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f'{name}: expected {", ".join(known)}, found {value!r}.')


def _check_numbers(settings: SpeciesConfig) -> None:
    if not 0 < settings.val_share < 1:
        raise InputError(f'val_share: expected 0..1, found {settings.val_share}.')
    if not settings.fit.rates:
        raise InputError('fit.rates: expected at least one, found none.')
    if wrong := [rate for rate in settings.fit.rates if not rate > 0]:
        raise InputError(f'fit.rates: expected more than 0, found {wrong[0]}.')
    if not 0 < settings.fit.decay <= 1:
        raise InputError(f'fit.decay: expected above 0 to 1, found {settings.fit.decay}.')
    if not 0 <= settings.fit.dropout < 1:
        raise InputError(f'fit.dropout: expected 0 to below 1, found {settings.fit.dropout}.')
    fit = {'batch': 1, 'epochs': 1, 'per_class': 0, 'background_weight': 0, 'background_places': 1}
    counts = {
        'neighbours': 1, 'radius_degrees': 1e-9, 'columns': 1, 'rows': 1, 'pseudo_count': 1e-9,
        'kernel_degrees': 1e-9, 'kernel_neighbours': 1,
    }  # fmt: skip
    for where, least in (('fit', fit), ('counts', counts), ('sizes', {'width': 1})):
        for name, bound in least.items():
            found = getattr(getattr(settings, where), name)
            if not found >= bound:
                raise InputError(f'{where}.{name}: expected {bound} or more, found {found}.')
    place_encodings.check(settings.sizes, 'sizes')
    if not settings.block_degrees >= 0:
        raise InputError(f'block_degrees: expected 0 or more, found {settings.block_degrees}.')
