"""Parity of location encoders, their losses, regressors and species scores."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from gair_jax.convert import satclip, torchspatial
from gair_jax.convert.table import Rule, convert
from gair_jax.geo import anchor_encodings, frequency_encodings
from gair_jax.geo.spherical_harmonics import spherical_harmonics
from gair_jax.losses.presence import presence, user_presence
from gair_jax.models import place_networks as networks
from gair_jax.scores import species
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case

SCALED = {
    'Space2Vec-grid': 'grid',
    'Space2Vec-theory': 'theory',
    'Sphere2Vec-sphereC': 'sphere_c',
    'Sphere2Vec-sphereC+': 'sphere_c_plus',
    'Sphere2Vec-sphereM': 'sphere_m',
    'Sphere2Vec-sphereM+': 'sphere_m_plus',
    'Sphere2Vec-dfs': 'dfs',
}
SATCLIP = {
    'grid': 'grid',
    'theory': 'theory',
    'spherec': 'sphere_c',
    'spherecplus': 'sphere_c_plus',
    'spherem': 'sphere_m',
    'spheremplus': 'sphere_m_plus',
}
FORMS = {'analytic': 'analytic', 'closed-form': 'normalised'}
ACTIVATIONS = {'leakyrelu': 'leaky_relu', 'relu': 'relu'}


def encoded(case: Case, places: np.ndarray) -> np.ndarray:
    """Encoded places, of the encoder that a case names."""
    kwargs = case.kwargs
    name = kwargs['spa_enc_type']
    if name in SCALED:
        fixed = name in ('Sphere2Vec-sphereM+', 'Sphere2Vec-dfs')  # they take 1 as least radius
        least = 1.0 if fixed else kwargs['min_radius']
        scales = frequency_encodings.frequencies(
            kwargs['frequency_num'], least, kwargs['max_radius']
        )
        return frequency_encodings.SCALED[SCALED[name]](places, scales)
    if name == 'rbf':
        width = kwargs['rbf_kernel_size']
        return anchor_encodings.rbf(places, case.inputs['anchors'], width)
    if name == 'rff':
        drawn = (case.params[f'spa_enc.position_encoder.{part}'] for part in ('dirvec', 'shift'))
        return anchor_encodings.rff(places, *drawn, tuple(kwargs['map_range']))
    if name == 'spherical_harmonics':
        return spherical_harmonics(places, kwargs['legendre_poly_num'])
    if name == 'tile_ffn':  # one cell, as the cell's side never reaches the reference's table
        cell = anchor_encodings.cell_of(places, anchor_encodings.WORLD, 1e6)
        return case.params['spa_enc.position_encoder.embedding.weight'][cell]
    simple = {'xyz': frequency_encodings.unit_vectors, 'NeRF': frequency_encodings.nerf}
    return simple.get(name, frequency_encodings.wrap)(places)


def network(kwargs: dict, prefix: str = '') -> tuple[nn.Module, list[Rule]]:
    """The network of a case, and the table of its weights."""
    require(kwargs, norm_eps=networks.NORM_EPS, leaky_slope=0.2, encoder_leaky_slope=0.2)
    require(kwargs, skip_connection=True, use_layn=True)
    if kwargs.get('network') == 'fcnet':
        return networks.Residual(kwargs['num_filts']), torchspatial.residual()
    hidden = (kwargs['hidden_dim'],) * kwargs['num_hidden_layer']
    activation = ACTIVATIONS[kwargs['spa_f_act']]
    made = networks.FeedForward(kwargs['num_filts'], hidden, activation)
    return made, torchspatial.feed_forward(len(hidden), f'{prefix}spa_enc.')


def read(module: nn.Module, x: np.ndarray, case: Case, table: list[Rule], name: str) -> dict:
    """Our parameters of a module, from those of the case that its table names."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(x))['params']
    wanted = {rule.source for rule in table}
    state = {key: value for key, value in case.params.items() if key in wanted}
    return convert(state, table, {name: shapes})[name]


def embed(case: Case, x: np.ndarray, prefix: str = '') -> np.ndarray:
    """Embeddings of encoded places."""
    module, table = network(case.kwargs, prefix)
    x = np.asarray(x, np.float32)
    return np.asarray(
        module.apply({'params': read(module, x, case, table, 'network')}, jnp.asarray(x))
    )


def scores(case: Case, embedding: np.ndarray) -> tuple[networks.Presence, dict, dict]:
    """Module, parameters and scores of `Presence`."""
    users = 'user_emb.weight' in case.params
    count = case.params['user_emb.weight'].shape[0] if users else 0
    module = networks.Presence(case.kwargs['num_classes'], count)
    params = read(module, embedding, case, torchspatial.presence(users), 'presence')
    return module, params, module.apply({'params': params}, jnp.asarray(embedding))


@kind('torchspatial_encoder')
def torchspatial_encoder(case: Case, data: Data) -> Arrays:
    del data
    position = encoded(case, case.inputs['lonlat'])
    embedding = embed(case, position)
    prob = np.asarray(scores(case, embedding)[2]['class'])
    return {'position': position, 'embedding': embedding, 'class_prob': prob}


@kind('tile_lookup')
def tile_lookup(case: Case, data: Data) -> Arrays:
    del data
    extent, side = tuple(case.kwargs['extent']), case.kwargs['interval']
    cell = anchor_encodings.cell_of(case.inputs['lonlat'], extent, side)
    rows, columns = anchor_encodings.cells(extent, side)
    module = networks.Tile(rows * columns, case.kwargs['spa_embed_dim'])
    params = read(module, cell, case, torchspatial.tile(''), 'tile')
    return {'position': np.asarray(module.apply({'params': params}, jnp.asarray(cell)))}


@kind('location_prior_loss')
def location_prior_loss(case: Case, data: Data) -> Arrays:
    del data
    kwargs, inputs = case.kwargs, case.inputs
    require(kwargs, probability_floor=1e-5)
    random = inputs['background']
    if kwargs['background'] == 'lon_lat_degree':
        random = encoded(case, random)
    here, away = embed(case, encoded(case, inputs['lonlat'])), embed(case, random)
    module, params, _ = scores(case, here)
    label = jnp.asarray(inputs['label'])

    def loss(params: dict) -> jax.Array:
        p, q = (module.apply({'params': params}, jnp.asarray(e))['class'] for e in (here, away))
        value = presence(p, q, label, weight=kwargs['rand_sample_weight'])
        if kwargs['train_loss'] == 'full_loss_user':
            weights = {name: params[f'{name}_weights']['kernel'] for name in ('user', 'class')}
            user = weights['user'].T[inputs['user']]
            value += user_presence(
                user, jnp.asarray(here), jnp.asarray(away), weights['class'], label
            )
        return value

    value, grads = jax.value_and_grad(loss)(params)
    found = {'loss': np.asarray(value)}
    for name in ('class', 'user'):
        if f'{name}_weights' in grads:
            found[f'grad_{name}_emb'] = np.asarray(grads[f'{name}_weights']['kernel']).T
    return found


@kind('mosaiks_regressor')
def mosaiks_regressor(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    spec = networks.MOSAIKS[kwargs['dataset'].removeprefix('mosaiks_')]
    require(kwargs, embed_dim_before_regress=spec.width, head_leaky_slope=0.01)
    drawn = {name: draw(case, **how) for name, how in kwargs['draws'].items()}
    embedding = embed(case, encoded(case, case.inputs['lonlat']), 'loc_enc.')
    module = networks.MosaiksRegressor(spec)
    given = jnp.asarray(drawn['image_features']), jnp.asarray(embedding)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *given)['params']
    table = torchspatial.mosaiks(len(spec.image), len(spec.head))
    wanted = {rule.source for rule in table}
    state = {key: value for key, value in case.params.items() if key in wanted}
    params = convert(state, table, {'regressor': shapes})['regressor']
    out = module.apply({'params': params}, *given)
    answer = np.asarray(out['answer'], np.float64)
    return {
        'image_embed': np.asarray(out['image']),
        'loc_embed': np.asarray(out['place']),
        'prediction': answer[:, None],
        'mse': np.mean((answer - drawn['labels']) ** 2),
    }


def draw(case: Case, key: str, shape: list[int], centre: float, scale: float) -> np.ndarray:
    """An array that the case does not store."""
    generator = np.random.default_rng([case.meta['seed'], zlib.crc32(key.encode())])
    return np.asarray(centre + scale * generator.standard_normal(shape), np.float32)


@kind('species_combination')
def species_combination(case: Case, data: Data) -> Arrays:
    del data
    inputs, tops = case.inputs, tuple(case.kwargs['top_k'])
    placed = np.isfinite(inputs['lonlat']).all(axis=1)
    places = np.where(placed[:, None], inputs['lonlat'], 0)
    prior = np.asarray(scores(case, embed(case, encoded(case, places)))[2]['class'])
    found = species.rank(species.combine(inputs['image_prob'], prior, placed), inputs['label'])
    parts = [inputs['split'] == split for split in case.kwargs['splits']]
    hits = {k: found.rank <= k for k in tops}
    return {
        'prior': prior,
        'true_class_prob': found.true_score,
        'reciprocal_rank': 1 / found.rank,
        'hit1': hits[1].astype(float),
        'hit3': hits[3].astype(float),
        'acc_percent': np.array([100 * hits[k][part].mean() for part in parts for k in tops]),
        'acc_percent_nan_counted_wrong': np.array(
            [100 * (hits[k] & placed)[part].mean() for part in parts for k in tops]
        ),
    }


@kind('spherical_harmonics_siren')
def spherical_harmonics_siren(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, w0=1.0)
    (places,) = case.inputs.values()
    position = spherical_harmonics(
        places, kwargs['legendre_polys'], FORMS[kwargs['harmonics_calculation']]
    )
    hidden = (kwargs['dim_hidden'],) * kwargs['num_layers']
    module = networks.Siren(kwargs['dim_out'], hidden, kwargs['w0_initial'])
    x = position.astype(np.float32)
    params = read(module, x, case, satclip.siren(len(hidden)), 'network')
    embedding = np.asarray(module.apply({'params': params}, jnp.asarray(x)))
    return {'position': position, 'posenc': position, 'embedding': embedding}


@kind('satclip_position')
def satclip_position(case: Case, data: Data) -> Arrays:
    del data
    kwargs, places = case.kwargs, case.inputs['lonlat'].astype(np.float64)
    name = kwargs['encoding']
    if name in SATCLIP:
        radii = kwargs['min_radius'], kwargs['max_radius']
        scales = frequency_encodings.frequencies(kwargs['frequency_num'], *radii)
        function = frequency_encodings.SCALED[SATCLIP[name]]
        if name in ('grid', 'theory'):
            return {'position': function(places, scales)}
        return {'position': function(places, scales, unit=1.0).repeat(2, axis=1)}
    angles = np.deg2rad(places)
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(angles), -1)
    simple = {
        'direct': angles - np.pi,
        'cartesian3d': frequency_encodings.unit_vectors(places),
        'wrap': waves,
    }
    return {'position': simple[name]}
