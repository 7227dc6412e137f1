"""What the three encoders say of the same point, a photo's, kept on disk: ready to be joined.

`rs` is NILI's answer at the point inside its window, not the mean of the window: the point is what
the three embeddings have in common (paper section 5.1).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.input.pipeline import Pipeline
from gair_jax.input.records import Photo
from gair_jax.input.store import Store
from gair_jax.models.gair import Model, Params
from gair_jax.train import checkpoint
from gair_jax.train.fingerprint import fingerprint
from gair_jax.train.metrics_writer import ProgressBar
from gair_jax.transfer.feature_cache import FeatureCache
from gair_jax.transfer.features import Drawn, Encoders, without

SIDES = ('sv', 'rs', 'location')


def sides_of(name: str) -> tuple[str, ...]:
    """'sv+rs' -> ('sv', 'rs'); InputError unless each is one of `SIDES`, once."""
    sides = tuple(name.split('+'))
    if len(set(sides)) < len(sides) or not set(sides) <= set(SIDES):
        raise InputError(f'features: expected {", ".join(SIDES)} joined by +, found {name!r}.')
    return sides


def seen_by(sides: Sequence[str]) -> Callable[[Photo], bool]:
    """Whether a record holds what these encoders read."""

    def usable(photo: Photo) -> bool:
        lacks_photo = 'sv' in sides and not photo.photo
        lacks_tile = 'rs' in sides and not photo.acquisitions
        lacks_place = 'location' in sides and not np.isfinite(photo.lonlat).all()
        return not (lacks_photo or lacks_tile or lacks_place)

    return usable


class PointFeatures:
    """Features of the points of a data set, for several parameter sets of one model."""

    def __init__(self, model: Model, sets: Sequence[Params], store: Store, root: str) -> None:
        """Takes a model whose config says how examples are read, and a folder for the arrays."""
        self.config: Config = model.config
        self._encoders, self._store, self._root = Encoders(model, sets), store, root
        self._prints = [fingerprint(params) for params in sets]

    def of_all(
        self, sides: Sequence[str], drawn: Mapping[str, Drawn]
    ) -> dict[str, dict[str, list[np.ndarray]]]:
        """Features as `of` gives them, by side and split.

        Raises:
            InputError: an encoder cannot read the data; nothing is written then.
        """
        for side in set(sides) - {'location'}:
            for own in drawn.values():
                self._pipeline(side, own.split).examples_at([int(own.indices[0])])
        return {side: {split: self.of(side, own) for split, own in drawn.items()} for side in sides}

    def of(self, side: str, drawn: Drawn) -> list[np.ndarray]:
        """One encoder's features float32 [n, d] of the drawn points, for each parameter set."""
        cache = FeatureCache(self._root, self._key(side, drawn))
        count = len(drawn.photos)
        with ProgressBar(f'features {side} {drawn.split}', count) as bar:

            def make(rows: np.ndarray) -> np.ndarray:
                found = self._encoded(side, drawn.take(rows))
                bar.update(int(rows[-1]) + 1, '')
                return np.moveaxis(found, 0, 1)

            found = cache.features(side, count, make)
        return [found[:, i] for i in range(len(self._prints))]

    def _encoded(self, side: str, drawn: Drawn) -> np.ndarray:
        if side == 'location':
            return self._encoders.places(drawn.lonlat)
        read = self._encoders.photos if side == 'sv' else self._encoders.localized
        return read(self._pipeline(side, drawn.split), drawn)

    def _pipeline(self, side: str, split: str) -> Pipeline:
        other = 'rs' if side == 'sv' else 'sv'
        return Pipeline(without(self.config, other), split, train=False)

    def _key(self, side: str, drawn: Drawn) -> dict[str, Any]:
        """Everything that the features depend on, beside the version of the code."""
        config = checkpoint.to_json(self.config)
        return {
            'side': side,
            'parameters': self._prints,
            'model': config['model'],
            'input': config['input'],
            'seed': self.config.seed,  # places the windows
            'data': [self.config.data.name, self.config.data.variant, described(self._store)],
            'split': drawn.split,
            'rows': hashlib.sha256(drawn.indices.tobytes()).hexdigest(),
        }


def described(store: Store) -> Mapping[str, Any]:
    """What tells two builds of a data set apart."""
    return {name: store.metadata.get(name) for name in ('build', 'counts', 'bands')}
