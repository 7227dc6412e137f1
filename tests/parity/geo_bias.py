"""Parity of the geo-bias scores: background, surprisal, and scores of centres."""

import numpy as np

from gair_jax.scores.geo_bias import (
    CentreScores,
    Reading,
    SriParameters,
    SsiParameters,
    plus_minus,
    sri,
    ssi_readings,
)
from gair_jax.scores.geo_bias import surprisal as formulas
from gair_jax.scores.geo_bias.background import background, density
from gair_jax.scores.geo_bias.inputs import latlon_radians
from gair_jax.scores.geo_bias.neighbourhoods import LEAF
from gair_jax.scores.geo_bias.parameters import EARTH_RADIUS_KM
from gair_jax.scores.geo_bias.sri import PARTITIONS, Cut
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case

MARKS = {'unmarked': 'unmarked', 'marked01': 'zero_one', 'markedpm': 'plus_minus'}


def places(case: Case) -> np.ndarray:
    """The lonlat of a case in degrees."""
    require(case.kwargs, unit='degree')
    return np.stack([case.inputs['lon'], case.inputs['lat']], axis=-1)


@kind('geo_bias_background')
def geo_bias_background(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, order='lat_lon', unit='radian')
    require(kwargs, density=density(kwargs['n_neighbours'], kwargs['radius']))
    return {
        f'points_{i}': background(centre, kwargs['radius'], kwargs['density'])
        for i, centre in enumerate(case.inputs['centres'])
    }


@kind('geo_bias_surprisal')
def geo_bias_surprisal(case: Case, data: Data) -> Arrays:
    del data
    require(case.kwargs, neighbours=formulas.NEIGHBOURS, ignored='most_frequent_first')
    values = case.inputs['values']
    lists = np.nonzero(case.inputs['weights'])[1].reshape(len(values), -1)
    observed = formulas.morans_sums(values[None], lists)
    marks, counts = np.unique(values, return_counts=True)
    expected = formulas.moments(marks, counts[None])
    made = {
        'mean': expected.mean,
        'std_density': np.sqrt(expected.variance),
        'std_tail': np.sqrt(expected.variance) + 1,
        'moran_upper': observed,
        'prob_density': formulas.density(observed, expected),
        'prob_tail': formulas.tail(observed, expected),
    }
    return {name: np.squeeze(value) for name, value in made.items()}


@kind('geo_bias_ssi')
def geo_bias_ssi(case: Case, data: Data) -> Arrays:
    del data
    kwargs, hits = case.kwargs, case.inputs['hit1']
    tree = {'method': 'ball_tree', 'leaf_size': LEAF, 'metric': 'haversine'}
    require(kwargs, density='auto', epsilon=formulas.FLOOR, neighbours=tree)
    made = {}
    for i, radius in enumerate(kwargs['radii']):
        readings = {
            f'r{i}_{mark}_{form}': Reading(
                SsiParameters(
                    radius_km=radius * EARTH_RADIUS_KM,
                    neighbourhood=kwargs['k_neighbourhood'],
                    weights=kwargs['k_weights'],
                    marks=MARKS[mark],
                    form=form,
                ),
                plus_minus(hits) if mark == 'markedpm' else hits,
            )
            for mark in kwargs['marks']
            for form in kwargs['forms']
        }
        scores = ssi_readings(places(case), list(readings.values()), centres=case.inputs['centres'])
        made[f'r{i}_n'] = scores[0].n
        made |= {name: defined(found, kwargs) for name, found in zip(readings, scores, strict=True)}
    return made


def defined(found: CentreScores, kwargs: dict) -> np.ndarray:
    """The scores, with the case's number for those that are not defined."""
    return np.where(np.isnan(found.score), kwargs['undefined'], found.score)


@kind('geo_bias_sri')
def geo_bias_sri(case: Case, data: Data) -> Arrays:
    del data
    kwargs, values, centres = case.kwargs, case.inputs['hit1'], case.inputs['centres']
    require(kwargs, smooth=1e-8, values='hit1')
    lengths = {f'{name}_km': kwargs[name] * EARTH_RADIUS_KM for name in ('radius', 'scale', 'lag')}
    parameters = SriParameters(
        **lengths,
        sectors=kwargs['n_splits'],
        threshold=kwargs['threshold'],
        bins=kwargs['bins'],
        published=True,
    )
    found = sri(places(case), values, parameters, centres=centres)
    made = {'n': found.scale_grid.n}
    for name, scores in zip(PARTITIONS, found, strict=True):
        made[name] = np.nan_to_num(scores.score)
        made[f'{name}_norm'] = np.nan_to_num(scores.normalised)
        made[f'parts_{name}'] = scores.parts
    cut = Cut(latlon_radians(places(case)), values.astype(np.float64), parameters)
    return made | {'direction_sector_any': any_sector(cut, centres)}


def any_sector(cut: Cut, centres: np.ndarray) -> np.ndarray:
    """The scores of sectors [c, t] when the centre, and all at its place, is put in sector t."""
    circle, sectors = cut.circle(centres), cut.parameters.sectors
    part = cut.sector(centres, circle)
    scores = [
        cut.score(circle, circle, np.where(circle.distance == 0, t, part), sectors)[0]
        for t in range(sectors)
    ]
    return np.nan_to_num(np.stack(scores, axis=-1))
