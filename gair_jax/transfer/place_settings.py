"""What `gair places` reads, trains and compares (configs/places/)."""

import dataclasses

from gair_jax.config import InputError, setting
from gair_jax.geo import place_encodings
from gair_jax.geo.place_encodings import NAMES
from gair_jax.models.place_encoders import EncoderSizes
from gair_jax.models.place_networks import MOSAIKS
from gair_jax.transfer.settings import NonlinearConfig, check_nonlinear

SPLITS = ('table', 'random', 'blocks')
KINDS = ('', 'class', 'regression')
SCALES = ('own', 'world')


@dataclasses.dataclass(kw_only=True)
class FitConfig(NonlinearConfig):
    """How the networks are fitted, by AdamW."""

    rates: tuple[float, ...] = setting((1e-3, 3e-3), 'run', 'learning rates; val chooses')
    batch: int = setting(256, 'run', 'rows a step at most; all of fewer training rows')
    epochs: int = setting(20, 'run', 'passes over the training rows; val chooses after which')
    weight_decay: float = setting(0.0, 'run', 'decoupled decay; not on biases')
    seeds: int = setting(1, 'run', 'of parameters and order; scores are means over them')
    schedule: str = setting(
        'cosine', 'run', 'of the rate: cosine, falling to 0 after a rise over 5 %, or constant'
    )


@dataclasses.dataclass(kw_only=True)
class PlacesConfig:
    """Location encoders trained from scratch on labels of places, each beside its neighbours."""

    table: str = setting('', 'run', '.csv or .parquet with columns lon, lat and the target')
    target: str = setting('', 'run', 'column of the labels')
    kind: str = setting('', 'run', "class or regression; '' is regression of numbers")
    images: str = setting(
        '', 'run', '.npy of image features, a row of the table each, that stand beside the place'
    )
    head: str = setting(
        'linear', 'run', f'what reads both: linear, or of numbers {", ".join(MOSAIKS)}'
    )
    encoders: tuple[str, ...] = setting((), 'run', f'() is all: {", ".join(NAMES)}')
    splits: tuple[str, ...] = setting(
        ('random', 'blocks'),
        'run',
        'random; blocks (whole cells of block_degrees); table (its column split)',
    )
    block_degrees: float = setting(5.0, 'run', 'side of the blocks of a split, degrees')
    test_share: float = setting(0.2, 'run', 'of all rows that are scored, 0..1')
    val_share: float = setting(0.1, 'run', 'of the other rows, which choose rate and epoch, 0..1')
    rows: int = setting(0, 'run', 'of the table at most, drawn; 0: all')
    neighbours: int = setting(10, 'run', 'training places of the floor weighted by 1 / distance')
    scales: str = setting(
        'own', 'run', 'finest ones where a size is 0: own, or world (labels of the whole Earth)'
    )
    coarseness: tuple[float, ...] = setting(
        (1.0,), 'run', "factors of an encoder's finest scale that are tried; val chooses"
    )
    averaged: int = setting(
        1, 'run', 'answers at so many of those scales at most are averaged; val chooses how many'
    )
    seed: int = setting(0, 'run', 'of splits, encodings and networks')
    sizes: EncoderSizes = dataclasses.field(default_factory=EncoderSizes)
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)

    def names(self) -> tuple[str, ...]:
        """Of the encoders that are asked for."""
        return tuple(self.encoders) or tuple(NAMES)

    def sizes_of(self, name: str, factor: float) -> EncoderSizes:
        """Of an encoder at a factor of its finest scale."""
        finest = (
            place_encodings.worldwide(name, self.sizes) if self.scales == 'world' else self.sizes
        )
        return place_encodings.coarser(name, finest, factor)


def check(settings: PlacesConfig) -> None:
    """Refuses values that no table could make sense of."""
    for name in ('table', 'target'):
        if not getattr(settings, name):
            raise InputError(f'{name}: expected a name, found none.')
    for name, known in (('encoders', tuple(NAMES)), ('splits', SPLITS)):
        values = getattr(settings, name)
        if odd := [value for value in values if value not in known]:
            raise InputError(f'{name}: expected {", ".join(known)}, found {odd[0]!r}.')
        if twice := [value for value in values if values.count(value) > 1]:
            raise InputError(f'{name}: expected each once, found {twice[0]!r} twice.')
    if not settings.splits:
        raise InputError('splits: expected at least one, found none.')
    if settings.kind not in KINDS:
        raise InputError(f'kind: expected class or regression, found {settings.kind!r}.')
    if settings.head not in ('linear', *MOSAIKS):
        raise InputError(f'head: expected linear, {", ".join(MOSAIKS)}, found {settings.head!r}.')
    if settings.head != 'linear' and not settings.images:
        raise InputError(f'head: {settings.head} reads images, found none.')
    if settings.scales not in SCALES:
        raise InputError(f'scales: expected {" or ".join(SCALES)}, found {settings.scales!r}.')
    if not settings.coarseness:
        raise InputError('coarseness: expected at least one, found none.')
    if wrong := [factor for factor in settings.coarseness if not factor > 0]:
        raise InputError(f'coarseness: expected more than 0, found {wrong[0]}.')
    for name in ('test_share', 'val_share'):
        if not 0 < getattr(settings, name) < 1:
            raise InputError(f'{name}: expected 0..1, found {getattr(settings, name)}.')
    least = {'rows': 0, 'neighbours': 1, 'averaged': 1, 'block_degrees': 1e-6}
    for name, bound in least.items():
        if not getattr(settings, name) >= bound:
            raise InputError(f'{name}: expected {bound} or more, found {getattr(settings, name)}.')
    if settings.sizes.width < 1:
        raise InputError(f'sizes.width: expected 1 or more, found {settings.sizes.width}.')
    place_encodings.check(settings.sizes, 'sizes')
    _check_scales(settings)
    check_nonlinear(settings.fit, 'fit')


def _check_scales(settings: PlacesConfig) -> None:
    """Refuses scales that an encoder cannot have, before another one is trained."""
    for name in settings.names():
        for factor in (min(settings.coarseness), max(settings.coarseness)):
            if name not in place_encodings.ON_DEVICE:
                place_encodings.fixed(name, settings.sizes_of(name, factor))
