"""Location encoders of TorchSpatial (Wu et al. 2024) and of geo_prior (Mac Aodha et al. 2019)."""

from gair_jax.convert.table import Rule, Tree, linear, norm, same

# What a model was built with, by its names.
SETTINGS = (
    'spa_enc_type', 'frequency_num', 'min_radius', 'max_radius', 'map_range', 'spa_f_act',
    'legendre_poly_num', 'skip_connection',
)  # fmt: skip
# Encoders by their names there and here. 'tile_ffn' is none of them: its cell size never reaches
# its table, which has one row for all places. 'rbf' keeps its anchors in no file.
NAMES = {
    'wrap': 'wrap', 'wrap_ffn': 'wrap_ffn', 'xyz': 'xyz', 'NeRF': 'nerf', 'rff': 'rff',
    'Space2Vec-grid': 'grid', 'Space2Vec-theory': 'theory', 'Sphere2Vec-sphereC': 'sphere_c',
    'Sphere2Vec-sphereC+': 'sphere_c_plus', 'Sphere2Vec-sphereM': 'sphere_m',
    'Sphere2Vec-sphereM+': 'sphere_m_plus', 'Sphere2Vec-dfs': 'dfs',
    'spherical_harmonics': 'harmonics',
}  # fmt: skip
ACTIVATIONS = {
    'leakyrelu': 'leaky_relu', 'relu': 'relu', 'sigmoid': 'sigmoid', 'tanh': 'tanh', 'gelu': 'gelu',
}  # fmt: skip
# These take 1 as their least radius, whatever is asked for.
FIXED_RADIUS = ('sphere_m_plus', 'dfs')


def rules(tree: Tree, prefix: str) -> list[Rule]:
    """The table of the location encoder in a model whose names begin with `prefix`."""
    location, network = tree['location'], 'location/network'
    if 'first' in location['network']:
        blocks = sum(name.endswith('_in') for name in location['network'])
        return residual(blocks, prefix, network)
    hidden = sum(name.startswith('hidden_') for name in location['network'])
    table = feed_forward(hidden, f'{prefix}spa_enc.', network)
    if 'directions' not in location:
        return table
    position = f'{prefix}spa_enc.position_encoder.'
    drawn = {'directions': 'dirvec', 'shift': 'shift'}
    return table + [same(f'location/{ours}', position + name) for ours, name in drawn.items()]


def unused(prefix: str) -> tuple[str, ...]:
    """The heads on the embedding, and the other networks of a MOSAIKS regressor."""
    names = [f'{prefix}class_emb.weight', f'{prefix}user_emb.weight']
    if prefix.endswith('loc_enc.'):
        outer = prefix.removesuffix('loc_enc.')
        names += [f'{outer}cnn_ffn.*', f'{outer}regress_ffn.*']
    return tuple(names)


def feed_forward(hidden: int, source: str = 'spa_enc.', target: str = 'network') -> list[Rule]:
    """`place_networks.FeedForward` with so many hidden layers."""
    layer = f'{source}ffn.layers.'
    table = linear(f'{target}/out', f'{layer}{hidden}.linear')
    for i in range(hidden):
        table += linear(f'{target}/hidden_{i}', f'{layer}{i}.linear')
        table += norm(f'{target}/norm_{i}', f'{layer}{i}.layernorm')
    return table


def residual(blocks: int = 4, source: str = '', target: str = 'network') -> list[Rule]:
    """`place_networks.Residual`: the encoder 'wrap'."""
    table = linear(f'{target}/first', f'{source}feats.0')
    for i in range(blocks):
        block = f'{source}feats.{i + 2}'
        table += linear(f'{target}/block_{i}_in', f'{block}.w1')
        table += linear(f'{target}/block_{i}_out', f'{block}.w2')
    return table


def tile(source: str = 'spa_enc.position_encoder.', target: str = 'tile') -> list[Rule]:
    """`place_networks.Tile`."""
    return [Rule(f'{source}embedding.weight', (f'{target}/cells/embedding',))]


def presence(users: bool, source: str = '', target: str = 'presence') -> list[Rule]:
    """`place_networks.Presence`."""
    table = linear(f'{target}/class_weights', f'{source}class_emb', bias=False)
    return table + (
        linear(f'{target}/user_weights', f'{source}user_emb', bias=False) if users else []
    )


def mosaiks(image: int, head: int, target: str = 'regressor') -> list[Rule]:
    """`place_networks.MosaiksRegressor` ; two modules without weights between layers."""
    table = presence(False, 'loc_enc.', f'{target}/place')
    for name, source, hidden in (('image', 'cnn_ffn', image), ('head', 'regress_ffn', head)):
        for i in range(hidden):
            table += linear(f'{target}/{name}/hidden_{i}', f'{source}.{3 * i}')
        table += linear(f'{target}/{name}/out', f'{source}.{3 * hidden}')
    return table
