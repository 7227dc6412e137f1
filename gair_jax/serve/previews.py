"""The end-to-end check with the official weights: nine cosines that its authors published.

The previews of zpl99/GAIR (examples/rs_to_sv_retrieval) print the cosine of each of three tiles,
read by NILI at its photo's place, with each of three projected photos.
"""

import copy
import csv
import os
import pathlib
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from gair_jax.config import InputError
from gair_jax.serve.embedder import Embedder
from gair_jax.serve.weights import Weights

CITIES = ('detroit', 'sacramento', 'tokyo')
# Rows are tiles, columns photos, both in the order of CITIES.
PUBLISHED = np.array(
    [[0.8335, -0.2068, 0.0362], [-0.0413, 0.4648, -0.0913], [-0.1239, 0.0719, 0.3956]]
)
# Far above what two decoders of JPEG change, far below what other weights do.
CLOSE = 0.02


class Preview(NamedTuple):
    """Our nine cosines under one reading of the weights; `what` says which."""

    what: str
    cosines: Float[np.ndarray, '3 3']

    @property
    def difference(self) -> float:
        """The largest difference from the published ones."""
        return float(np.abs(self.cosines - PUBLISHED).max())

    @property
    def official(self) -> bool:
        """Whether these weights can have made the previews."""
        return self.difference <= CLOSE


def previews(
    weights: Weights, carried: dict[str, np.ndarray], folder: str | os.PathLike[str]
) -> list[Preview]:
    """The cosines of the weights as they are and, where there is one, of the other final norm.

    Args:
      weights: of a whole model with its projection of photos.
      carried: what the checkpoint keeps beside them; a final norm may be in it.
      folder: with examples.csv and, for each of its ids, ID_rs.tif and ID_sv.jpg.

    Raises:
      InputError: a file is absent or cannot be used, or the model lacks a part.
    """
    places = _places(pathlib.Path(folder))
    with jax.default_matmul_precision('highest'):
        return [
            Preview(what, _cosines(Embedder(each), places, pathlib.Path(folder)))
            for what, each in _readings(weights, carried)
        ]


def _places(folder: pathlib.Path) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of each city's photo."""
    path = folder / 'examples.csv'
    if not path.is_file():
        raise InputError(f'{path}: no such file; --check-previews expects the three triples.')
    with open(path, newline='', encoding='utf-8') as file:
        rows = {row.get('id'): row for row in csv.DictReader(file)}
    try:
        return {city: (float(rows[city]['lon']), float(rows[city]['lat'])) for city in CITIES}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{path}: expected id, lon and lat of {", ".join(CITIES)}, found none of {error}.'
        ) from error


def _cosines(
    embedder: Embedder, places: dict[str, tuple[float, float]], folder: pathlib.Path
) -> Float[np.ndarray, '3 3']:
    tiles = [
        embedder.query(folder / f'{city}_rs.tif', [places[city]], normalize=True)[0]
        for city in CITIES
    ]
    photos = embedder.encode_sv([folder / f'{city}_sv.jpg' for city in CITIES], normalize=True)
    return np.stack(tiles) @ photos.T


def _readings(weights: Weights, carried: dict[str, np.ndarray]) -> list[tuple[str, Weights]]:
    """The weights with and without the final norm of the tile encoder, as far as there is one."""
    rs = weights.params.get('rs', {})
    if 'norm' in rs:
        without = {name: leaf for name, leaf in rs.items() if name != 'norm'}
        other = _with(weights, without, final_norm=False)
        return [('final norm on', weights), ('final norm off', other)]
    key = 'transformer.norm_out.'
    held = {k.rpartition('.')[2]: a for k, a in carried.items() if key in k and 's2_encoder' in k}
    held = {name: held[name] for name in ('weight', 'bias') if name in held}
    if len(held) < 2:
        return [('no final norm', weights)]
    norm = {'scale': held['weight'], 'bias': held['bias']}
    other = _with(weights, {**rs, 'norm': norm}, final_norm=True)
    return [('final norm off', weights), ('final norm on', other)]


def _with(weights: Weights, rs: dict, *, final_norm: bool) -> Weights:
    config = copy.deepcopy(weights.config)
    config.model.rs.final_norm = final_norm
    return weights._replace(config=config, params={**weights.params, 'rs': rs})
